"""A writer dies at every system call of a publish: a reader sees old, new or nothing, and the next attempt succeeds."""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.databases.soak import long
from tests.faults.conftest import Tally
from tests.faults.profile import PROFILE, tried
from tests.faults.publishes import NEW, OLD, attempt, visible
from tests.faults.store import Template
from tests.faults.system_calls import Fault

LONG = long(("report", "energy", "kept", "sets"))
KINDS = ["file", "import", "staged", *LONG]


def kill_at(template: Template, kind: str, at: int, unbroken: object) -> str:
    """One death, what a reader sees after it, and the next attempt."""
    folder = template.copy(f"{kind}-{at}")
    assert attempt(kind, folder, Fault(at)) is None, f"boundary {at} was not reached"
    seen = visible(kind, folder)
    assert seen in ((OLD, NEW) if kind == "file" else (None, unbroken))
    if kind == "import":  # is sent again by the client, under a new id; the rest of the old one is only in the staging
        assert seen is not None or not any(path.name != ".staging" for path in template.added(folder))
        return named(seen)
    if not PROFILE.every_place and at % 3:
        return named(seen)
    again = attempt(kind, folder)
    assert again is not None
    assert again.error is None
    assert visible(kind, folder) == unbroken
    left = {path.name for path in folder.glob("data/artifacts/.staging/*")}
    assert left <= {"radius-1.parts", template.extraction}
    if kind != "staged":  # whose part is itself in the staging folder
        assert "radius-1.parts" not in left
    assert not list(folder.rglob("data/artifacts/.staging/radius-1.parts/*.*"))
    return named(seen)


def named(seen: object) -> str:
    return "nothing" if seen is None else "old" if seen == OLD else "new"


@pytest.mark.parametrize(
    "kind", [pytest.param("file", marks=pytest.mark.long) if kind == "file" else kind for kind in KINDS]
)
def test_a_reader_sees_old_new_or_nothing(template: Template, kind: str, tally: Tally):
    folder = template.copy(f"{kind}-unbroken")
    told = attempt(kind, folder)
    assert told is not None
    assert told.error is None
    unbroken = visible(kind, folder)
    with ThreadPoolExecutor(2) as pool:
        places = tried(range(len(told.seen)))
        deaths = [pool.submit(kill_at, template, kind, at, unbroken) for at in places]
        seen = Counter(death.result() for death in deaths)
    tally(boundaries=len(deaths), **seen)
    assert seen["new"] > 0
    assert seen["new"] < len(deaths)


@pytest.mark.parametrize("kind", ["file", "import", "report", "kept", "staged"])
def test_nothing_gets_its_name_before_it_is_on_the_disk(template: Template, kind: str):
    """Every file is forced to the disk between its last write and its rename, a folder after the rename in it."""
    told = attempt(kind, template.copy(f"{kind}-order"))
    assert told is not None
    dirty: set[str] = set()
    for name, path, to in told.seen:
        if name == "fsync":
            dirty.discard(path)
        elif name in ("open", "write"):
            dirty.add(path)
        elif name == "replace":
            torn = {Path(other).name for other in dirty if other == path or other.startswith(f"{path}/")}
            assert not torn, f"renamed before they are on the disk: {sorted(torn)}"
            dirty.add(str(Path(to).parent))
    assert not dirty, "the last rename is not on the disk"
