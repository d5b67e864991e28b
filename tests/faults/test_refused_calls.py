"""The disk refuses a system call of a publish: the attempt fails, nothing is there, and the next attempt succeeds."""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.profile import tried
from tests.faults.publishes import NEW, OLD, Told, attempt, visible
from tests.faults.store import Template
from tests.faults.system_calls import GROWING, Fault

KINDS = ["file", "import", pytest.param("report", marks=pytest.mark.long)]


def unbroken(template: Template, kind: str, name: str) -> Told:
    told = attempt(kind, template.copy(f"{kind}-{name}-unbroken"))
    assert told is not None
    return told


def refuse(template: Template, kind: str, fault: Fault) -> Told:
    """One refusal, what is left after it, and the next attempt; returns what the refused one was told."""
    folder = template.copy(f"{kind}-{fault.error}-{fault.at}-{len(fault.names)}")
    told = attempt(kind, folder, fault)
    assert told is not None
    assert told.error is not None, f"call {fault.at} was refused and nobody noticed"
    if kind == "file":
        assert visible(kind, folder) in (OLD, NEW)
    else:
        assert visible(kind, folder) is None
    assert not fault.lasting or not list(folder.rglob("data/artifacts/**/.*.tmp"))
    if fault.at % 3 == 0 or not fault.lasting:
        again = attempt(kind, folder)
        assert again is not None
        assert again.error is None
        assert visible(kind, folder) is not None
    return told


def refuse_all(template: Template, kind: str, faults: list[Fault]) -> list[Told]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda fault: refuse(template, kind, fault), faults))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_fsync_is_the_end_of_the_attempt(template: Template, kind: str, tally: Tally):
    """EIO once, at every fsync: a second call might say that all is well, though the data is lost."""
    seen = unbroken(template, kind, "fsync").seen
    places = [at for at, (name, *_) in enumerate(seen) if name == "fsync"]
    told = refuse_all(template, kind, [Fault(at, errno.EIO, ("fsync",)) for at in tried(places)])
    tally(fsyncs=len(told), failed=len(told))
    assert all(f"OSError({errno.EIO}," in str(one.error) for one in told)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_from_some_call_on_is_said_to_be_full(template: Template, kind: str, tally: Tally):
    """ENOSPC from every call on that needs room, until the attempt has ended."""
    seen = unbroken(template, kind, "full").seen
    needing = ("open", "write", "mkdir")
    places = [at for at, (name, path, _) in enumerate(seen) if name in needing and not is_figure(path)]
    told = refuse_all(template, kind, [Fault(at, errno.ENOSPC, needing, lasting=True) for at in tried(places)])
    tally(places=len(told), storage_full=sum(one.code == "storage_full" for one in told))
    assert [one.error for one in told if one.code != "storage_full"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_read_only_is_said_to_be(template: Template, kind: str):
    changing = (*GROWING, "unlink", "rmdir")
    (told,) = refuse_all(template, kind, [Fault(0, errno.EROFS, changing, lasting=True)])
    assert told.code == "storage_full"
    assert "read-only" in str(told.error)


@pytest.mark.long
def test_a_disk_that_is_full_when_a_figure_is_drawn_is_said_to_be_full(template: Template):
    seen = unbroken(template, "report", "figure").seen
    places = [at for at, (name, path, _) in enumerate(seen) if name in ("open", "write") and is_figure(path)]
    told = refuse_all(template, "report", [Fault(at, errno.ENOSPC, GROWING, lasting=True) for at in places])
    assert {one.code for one in told} == {"storage_full"}


def is_figure(path: str) -> bool:
    return Path(path).name.lstrip(".").startswith("figure.")
