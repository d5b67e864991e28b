"""A worker that was frozen for longer than its lease is replaced; woken up, it writes nothing any more."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.client import Handle
from service.contracts.jobs import Job
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, Owner, wait_until
from tests.faults.outcomes import outcome, published_by, unlisted
from tests.faults.products import publish_set
from tests.faults.profile import PROFILE

ROWS = 6000


@pytest.fixture(scope="module")
def spec(fleet: Fleet) -> dict[str, Any]:
    """A search long enough to be frozen in."""
    return {"activations": publish_set(fleet, ROWS, d_model=32), "fractions": [0.5, 0.75, 1.0], "k": 4}


@pytest.fixture(scope="module")
def unbroken(fleet: Fleet, spec: dict[str, Any]) -> list[Any]:
    return outcome(fleet.settings, fleet.run("radius", spec).job)


def stop_at_work(fleet: Fleet, handle: Handle) -> Owner | None:
    """Freeze the worker of a job's segment; None when that came too late, or in the middle of a transaction."""
    wait_until(lambda: (found := fleet.owner(handle.id)) is not None and found.done > 0, "the search has begun")
    owner = fleet.owner(handle.id)
    if owner is None:
        return None
    fleet.signal(owner.worker, signal.SIGSTOP)
    held = fleet.owner(handle.id)
    still = held is not None and held.attempt == owner.attempt and not published_by(fleet.catalog, handle.id)
    return owner if still and not in_transaction(fleet, owner.segment, handle.id) else None


def in_transaction(fleet: Fleet, segment: str, job_id: str) -> bool:
    """Whether the frozen worker keeps a lock of the database: until it wakes, nobody else can write there."""
    engine = make_engine(fleet.settings.resolved_database_url)
    here = (segments.c.job == job_id) & (segments.c.name == segment)
    try:
        with engine.begin() as connection:
            connection.execute(sa.select(segments.c.name).where(here).with_for_update(nowait=True))
        return False
    except OperationalError:
        return True
    finally:
        engine.dispose()


def make_engine(url: str) -> sa.Engine:
    """The catalog's engine, but impatient."""
    made = Catalog(url).engine
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=300"))
    return made


@contextmanager
def frozen(fleet: Fleet, spec: dict[str, Any]) -> Iterator[tuple[Handle, Owner]]:
    """A job whose worker stands still; it is woken at the end, whatever happens."""
    for _ in range(20):
        handle = fleet.client.submit("radius", spec)
        owner = stop_at_work(fleet, handle)
        if owner is not None:
            break
        wake_all(fleet)
        fleet.wait_for_end(handle.id)
    else:
        raise AssertionError("no worker could be frozen at work")
    try:
        yield handle, owner
    finally:
        wake_all(fleet)


def wake_all(fleet: Fleet) -> None:
    for name in fleet.running:
        fleet.signal(name, signal.SIGCONT)


def refusals(fleet: Fleet, worker: str, job_id: str) -> int:
    """How often a worker's log says that its write for a job was refused."""
    told = [line for line in fleet.log(worker).splitlines() if job_id in line]
    return sum("failed: superseded" in line or "failed: cancelled" in line for line in told)


def check_end(fleet: Fleet, handle: Handle, owner: Owner, unbroken: list[Any]) -> Job:
    """The job succeeded by another worker's work, and the woken one was refused."""
    done = fleet.wait_for_end(handle.id)
    assert done.state == "succeeded", done
    wait_until(lambda: refusals(fleet, owner.worker, handle.id) == 1, f"{owner.worker} is refused")
    assert fleet.client.job(handle.id) == done
    assert outcome(fleet.settings, done) == unbroken
    assert published_by(fleet.catalog, handle.id) == [done.results[0].id]
    return done


@on("postgresql")
def test_a_worker_that_wakes_too_late_is_refused(fleet: Fleet, spec: dict[str, Any], unbroken: list[Any], tally: Tally):
    """In turns it wakes while another worker has its segment, and after that one has finished."""
    before, began = unlisted(fleet.settings, fleet.catalog), time.monotonic()
    during = 0
    for number in range(PROFILE.freezes):
        with frozen(fleet, spec) as (handle, owner):
            wait_until(partial(taken_over, fleet, handle, owner), "another worker takes over")
            if number % 2 == 0:
                during += not ended(fleet, handle)
            else:
                fleet.wait_for_end(handle.id)
        check_end(fleet, handle, owner, unbroken)
    wait_until(lambda: unlisted(fleet.settings, fleet.catalog) <= before, "what the woken worker wrote is gone")
    taken = (time.monotonic() - began) / PROFILE.freezes
    tally(freezes=PROFILE.freezes, woken_during=during, refused=PROFILE.freezes, seconds_each=f"{taken:.1f}")


def taken_over(fleet: Fleet, handle: Handle, owner: Owner) -> bool:
    return ended(fleet, handle) or (fleet.owner(handle.id) or owner).attempt > owner.attempt


def ended(fleet: Fleet, handle: Handle) -> bool:
    return handle.get().state == "succeeded"
