"""A worker stands still at a system call of its publish, another one does its work, and it wakes.

Either at the end, or in the middle of the other's publish: both write the files of one report then.
"""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from service.artifacts.report import ReportFolder
from service.catalog.engine import Catalog
from service.catalog.tables import radius_reports
from tests.faults.conftest import Tally
from tests.faults.fleet import wait_until
from tests.faults.profile import PROFILE, SEED
from tests.faults.publishes import Told, attempt, begin, finish, settings_of
from tests.faults.store import Template
from tests.faults.system_calls import Fault

pytestmark = pytest.mark.long


def stopped(process: ForkServerProcess) -> bool:
    assert process.pid is not None
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def begin_stopped(folder: Path, at: int, name: str) -> ForkServerProcess:
    """An attempt that stands still at that call."""
    process = begin("report", folder, Fault(at, signal=signal.SIGSTOP), name)
    wait_until(lambda: not process.is_alive() or stopped(process), f"call {at} is reached")
    return process


def wake(process: ForkServerProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGCONT)


def check_report(folder: Path) -> None:
    """One report, every byte of it as recorded in the catalog, and nothing beside it."""
    settings = settings_of(folder)
    catalog = Catalog(settings.resolved_database_url)
    with catalog.read() as connection:
        (row,) = connection.execute(sa.select(radius_reports)).all()
    catalog.close()
    stored = ReportFolder(settings.artifacts_root / row.id, row.sha256)
    for entry in stored.manifest["files"]:
        stored.file(entry["name"])
    assert stored.report().id == row.id
    assert not list(settings.staging_root.glob("*"))


def length(template: Template, name: str) -> int:
    """How many calls a publish is."""
    told = attempt("report", template.copy(name))
    assert told is not None
    return len(told.seen)


def late(template: Template, at: int) -> str:
    """It wakes when the other has finished."""
    folder = template.copy(f"late-{at}")
    process = begin_stopped(folder, at, "first")
    told = attempt("report", folder)
    assert told is not None
    assert told.error is None
    wake(process)
    woken = finish(process, folder, "first")
    check_report(folder)
    assert woken is not None
    assert woken.error is not None, "it was not refused"
    return woken.code or woken.error.partition("(")[0]


def within(template: Template, at: int, then: int) -> tuple[Told | None, Told | None]:
    """It wakes when the other, its owner by now, is at another call, which goes on afterwards."""
    folder = template.copy(f"within-{at}-{then}")
    first = begin_stopped(folder, at, "first")
    second = begin_stopped(folder, then, "second")
    wake(first)
    woken = finish(first, folder, "first")
    wake(second)
    owner = finish(second, folder, "second")
    if owner is not None and owner.error is None:
        check_report(folder)
    return woken, owner


def test_a_writer_that_wakes_at_the_end_changes_nothing(template: Template, tally: Tally):
    calls = length(template, "late")
    places = range(calls) if PROFILE.every_place else sorted(random.Random(SEED).sample(range(calls), 6))
    with ThreadPoolExecutor(2) as pool:
        codes = Counter(pool.map(lambda at: late(template, at), places))
    tally(seed=SEED, frozen=len(places), of=calls, **codes)


def test_a_writer_that_wakes_within_the_publish_of_another_changes_nothing(template: Template, tally: Tally):
    calls, chance = length(template, "within"), random.Random(SEED)
    pairs = chance.sample(list(product(range(calls), repeat=2)), PROFILE.frozen_pairs)
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda pair: within(template, *pair), pairs))
    errors = Counter(owner.error or "succeeded" for _, owner in ends if owner is not None)
    tally(seed=SEED, pairs=len(pairs), **errors)
    assert set(errors) == {"succeeded"}
    assert all(woken is not None and woken.error is not None for woken, _ in ends)
