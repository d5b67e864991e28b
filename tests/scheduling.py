"""Which tests `make test` runs of many alike, and how they are shared out over processes and databases."""

from __future__ import annotations

import re
from collections import defaultdict
from zlib import crc32

import pytest
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


def beyond_each_choice(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of the tests of several parameters, those that `make test` leaves to the soak.

    It keeps as many combinations as are needed for each value of each parameter to occur; the soak runs all of them.
    """
    left, seen = set[pytest.Item](), defaultdict[str, set[tuple[int, str]]](set)
    for item in sorted(items, key=lambda item: crc32(item.nodeid.encode())):
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            values = set(enumerate(item.callspec._idlist))  # the name of the value of each parameter
            known = seen[item.nodeid.partition("[")[0]]
            if values <= known:
                left.add(item)
            known |= values
    return left


def piece_of(nodeid: str) -> str:
    """What a test is run together with."""
    file, _, name = nodeid.partition("::")
    found = _DATABASE.search(name)
    room = next((room for room in ROOMS if file.startswith(room)), None)
    return f"{room}{found.group(1)}" if room and found else file
