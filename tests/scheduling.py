"""How tests are shared out over processes and databases: those that use one running service stay together."""

from __future__ import annotations

import re
from zlib import crc32

from xdist.scheduler import LoadScopeScheduling

from tests.databases.migrated import DATABASES

ROOMS = ("tests/faults/", "tests/end_to_end/")  # whose tests share a service for each database; they take longest
_DATABASE = re.compile(rf"\[.*?\b({'|'.join(DATABASES)})\b")


class ByService(LoadScopeScheduling):
    """One piece of work is the tests of a service, or those of a file; pieces are handed out in order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid)


def on_other_database(nodeids: list[str]) -> set[str]:
    """Of the tests that are there for each database, those that `make test` leaves to the soak.

    A checksum of a test's name decides on which database it runs, so every file has tests on both. Rooms that are about
    databases, or run a whole service, decide for themselves.
    """
    known, left = set(nodeids), set[str]()
    for nodeid in nodeids:
        found = _DATABASE.search(nodeid)
        if found is None or nodeid.startswith((*ROOMS, "tests/databases/", "tests/postgres/")):
            continue
        twins = [nodeid[: found.start(1)] + name + nodeid[found.end(1) :] for name in DATABASES]
        if known.issuperset(twins):
            left.add(twins[crc32(twins[0].encode()) % len(twins)])
    return left


def piece_of(nodeid: str) -> str:
    """What a test is run together with."""
    file, _, name = nodeid.partition("::")
    found = _DATABASE.search(name)
    room = next((room for room in ROOMS if file.startswith(room)), None)
    return f"{room}{found.group(1)}" if room and found else file
