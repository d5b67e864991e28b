"""A server that crashed takes all locks along: their holders live on, and keep their work."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock
from service.catalog.tables import segments
from service.errors import Unavailable
from service.settings import Settings
from tests.databases.server import Server
from tests.faults.conftest import OPTIONS
from tests.faults.fleet import Fleet, running, wait_until
from tests.faults.products import publish_set

LOOKS = {"takeover_interval_s": 2.0, "lease_s": 10}  # a busy machine takes its locks again within half of it
ROWS = 8_000  # counted within a radius in the bulk: seconds, many looks at the locks


@pytest.fixture
def fleet(settings: Settings, tiny_model: Path) -> Iterator[Fleet]:
    shutil.copytree(tiny_model, settings.models_root / "tiny")
    with running(settings.model_copy(update=OPTIONS | LOOKS)) as fleet:
        yield fleet


def test_a_lock_is_taken_again(settings: Settings, server: Server):
    catalog, other = Catalog(settings.resolved_database_url), Catalog(settings.resolved_database_url)
    lock, second = (WorkerLock(each, settings.locks, "compute-a") for each in (catalog, other))
    assert lock.take()
    server.stop_hard()
    with pytest.raises(Unavailable):
        lock.keep()
    server.start()
    assert lock.keep()
    assert not second.take()
    server.stop_hard()
    server.start()
    assert second.take(), "the lock went with the server"
    assert not lock.keep(), "another process has the name now"
    lock.release()
    second.release()
    catalog.close()
    other.close()


def test_a_lock_is_taken_from_a_session_that_was_given_up(settings: Settings):
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        lock, second = (WorkerLock(catalog, settings.locks, "compute-a") for _ in range(2))
        assert lock.take()
        with given_up(lock):
            wait_until(lock.keep, "it is taken again", patience_s=10)
            assert not second.take()
        lock.release()
        assert second.take()
        second.release()


@contextmanager
def given_up(lock: WorkerLock) -> Iterator[None]:
    """As after a cut in the network: within the block the server still has the session, and this side has not."""
    held: Any = lock._lock
    number = held._connection.connection.driver_connection.fileno()
    of_server = os.dup(number)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), number)
    try:
        yield
    finally:
        os.close(of_server)


@pytest.mark.long
def test_a_long_segment_outlives_the_server(fleet: Fleet, server: Server):
    spec = {"activations": publish_set(fleet, ROWS, d_model=64), "radii": [9.0]}
    handle = fleet.client.submit("radius", spec)
    wait_until(lambda: (owner := fleet.owner(handle.id)) is not None and owner.done > 0, "the search has begun")
    server.stop_hard()
    time.sleep(1.5)  # so that the control worker, which waits for the segment, sees it gone
    server.start()
    done = fleet.wait_for_end(handle.id)
    assert (done.state, done.error) == ("succeeded", None)
    with fleet.catalog.read() as connection:
        owners = connection.execute(sa.select(segments.c.attempt, segments.c.deaths).where(segments.c.job == handle.id))
        assert [tuple(row) for row in owners] == [(1, 0)]
    assert done.started_at is not None
    assert done.finished_at is not None
    assert (done.finished_at - done.started_at).total_seconds() > 1.5 * LOOKS["takeover_interval_s"]  # two looks
