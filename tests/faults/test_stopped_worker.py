"""SIGTERM to a worker that is busy: it ends by itself, in time, takes nothing new, and its stop is no death."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

import pytest
import sqlalchemy as sa

from service.catalog.tables import segments
from service.client import Handle
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, Owner, wait_until
from tests.faults.products import publish_set

ROWS = 12_000  # counted within a radius in the bulk: many seconds
STOP_S = 8.0
_SLACK_S = 4.0  # of a machine with other work


@pytest.fixture(scope="module")
def set_id(fleet: Fleet) -> str:
    return publish_set(fleet, ROWS, d_model=64)


@pytest.fixture
def busy(fleet: Fleet, set_id: str) -> Iterator[tuple[Handle, Owner]]:
    """A long job and the worker that is at it; cancelled in the end."""
    handle = fleet.client.submit("radius", {"activations": set_id, "radii": [9.0]})
    wait_until(lambda: (found := fleet.owner(handle.id)) is not None and found.done > 0, "the search has begun")
    owner = fleet.owner(handle.id)
    assert owner is not None
    yield handle, owner
    if handle.get().state == "running":
        fleet.client.cancel(handle.id)
        fleet.wait_for_end(handle.id)


def exit_code(fleet: Fleet, worker: str, process: BaseProcess, patience_s: float) -> int | None:
    """Of a process that ends; by whom it is started again, as two who wait for one take its code from each other."""
    wait_until(lambda: fleet.running[worker] is not process, f"{worker} has ended", patience_s)
    return process.exitcode


def deaths(fleet: Fleet, job_id: str) -> int:
    with fleet.catalog.read() as connection:
        return connection.execute(
            sa.select(sa.func.sum(segments.c.deaths)).where(segments.c.job == job_id)
        ).scalar_one()


@on("postgresql")
def test_a_stopped_worker_ends_in_time_and_its_job_goes_on(fleet: Fleet, busy: tuple[Handle, Owner], tally: Tally):
    handle, owner = busy
    process, began = fleet.running[owner.worker], time.monotonic()
    fleet.signal(owner.worker, signal.SIGTERM)
    code = exit_code(fleet, owner.worker, process, STOP_S + _SLACK_S)
    took = time.monotonic() - began
    assert code == 0
    wait_until(lambda: (fleet.owner(handle.id) or owner).attempt > 1 or handle.get().state == "succeeded", "it goes on")
    assert deaths(fleet, handle.id) == 0
    tally(exit_code=code, seconds=f"{took:.1f}")


@on("postgresql")
def test_a_second_signal_ends_it_at_once(fleet: Fleet, busy: tuple[Handle, Owner]):
    handle, owner = busy
    process = fleet.running[owner.worker]
    fleet.signal(owner.worker, signal.SIGTERM)
    time.sleep(0.3)
    began = time.monotonic()
    fleet.signal(owner.worker, signal.SIGTERM)
    assert exit_code(fleet, owner.worker, process, STOP_S) == 0
    assert time.monotonic() - began < fleet.settings.drain_s / 2
    wait_until(lambda: (fleet.owner(handle.id) or owner).attempt > 1, "another worker has it")
    assert deaths(fleet, handle.id) == 0
