"""How tests are shared out over processes (`pytest -n 2`): those that use one running service stay together."""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

from tests.databases.migrated import DATABASES

ROOMS = ("tests/faults/", "tests/end_to_end/")  # whose tests share a service for each database; they take longest
_DATABASE = re.compile(rf"\[.*?\b({'|'.join(DATABASES)})\b")


class ByService(LoadScopeScheduling):
    """One piece of work is the tests of a service, or those of a file; pieces are handed out in order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)


def piece_of(nodeid: str) -> str:
    """What a test is run together with."""
    file, _, name = nodeid.partition("::")
    found = _DATABASE.search(name)
    room = next((room for room in ROOMS if file.startswith(room)), None)
    return f"{room}{found.group(1)}" if room and found else file
