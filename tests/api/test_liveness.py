"""Whose work is put back on the queues: the dead's at the second look, the frozen's at once, nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import cast

import pytest

from service.catalog import workers
from service.catalog.clock import moment
from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock, worker_lock
from service.catalog.tables import workers as workers_table
from service.errors import Unavailable
from service.jobs.engine import JobEngine
from service.jobs.liveness import Liveness
from service.settings import Settings

ME, OTHER = "compute-me", "compute-other"
WORK = [("job-1.part", "compute")]


class Engine:
    """What the job engine says of one other worker, and what it is told."""

    def __init__(self) -> None:
        self.away, self.given_back = False, []

    def held_by_others(self, worker: str) -> set[str]:
        if self.away:
            raise Unavailable("away")
        return {OTHER}

    def held_by(self, worker: str) -> list[tuple[str, str]]:
        return WORK

    def requeue(self, workflow_id: str, queue: str) -> None:
        self.given_back.append((workflow_id, queue))


class Clock:
    """Stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def liveness(catalog: Catalog, settings: Settings, engine: Engine, clock: Clock) -> Liveness:
    return Liveness(catalog, cast(JobEngine, engine), settings, clock)


@contextmanager
def living(settings: Settings, unseen_s: float = 0.0) -> Iterator[None]:
    """The other worker holds its lock, and was last seen so long ago."""
    catalog = Catalog(settings.resolved_database_url)
    with worker_lock(catalog, settings.locks, OTHER) as held:
        assert held
        with catalog.begin() as connection:
            workers.seen(connection, OTHER)
            seen_at = moment(connection) - timedelta(seconds=unseen_s)
            other = workers_table.update().where(workers_table.c.name == OTHER)
            connection.execute(other.values(seen_at=seen_at))
        yield
    catalog.close()


def test_a_dead_worker_is_looked_at_twice(liveness: Liveness, engine: Engine):
    liveness.recover_dead_workers(ME)
    assert engine.given_back == []
    liveness.recover_dead_workers(ME)
    assert engine.given_back == WORK


def look_after_an_outage(liveness: Liveness, engine: Engine) -> None:
    """A look that fails, and one that puts nothing back."""
    engine.away = True
    with pytest.raises(Unavailable):
        liveness.recover_dead_workers(ME)
    engine.away = False
    liveness.recover_dead_workers(ME)
    assert engine.given_back == []


def test_a_look_that_failed_was_none(liveness: Liveness, engine: Engine):
    liveness.recover_dead_workers(ME)
    look_after_an_outage(liveness, engine)


def test_a_lock_that_came_back_in_between_saves_its_worker(liveness: Liveness, engine: Engine, settings: Settings):
    liveness.recover_dead_workers(ME)
    with living(settings):
        for _ in range(3):
            liveness.recover_dead_workers(ME)
            assert liveness.is_alive(OTHER)
    assert engine.given_back == []


def test_a_frozen_worker_has_its_lock_and_loses_its_work(
    liveness: Liveness, engine: Engine, settings: Settings, clock: Clock
):
    with living(settings, unseen_s=2 * settings.lease_s):
        assert not liveness.is_alive(OTHER)
        clock.seconds += settings.lease_s
        liveness.recover_dead_workers(ME)
    assert engine.given_back == WORK


def test_after_an_outage_nobody_is_frozen_for_a_lease(
    liveness: Liveness, engine: Engine, settings: Settings, clock: Clock
):
    """All were unseen while the database was away; they need time to say that they live."""
    with living(settings, unseen_s=2 * settings.lease_s):
        clock.seconds += 2 * settings.lease_s
        look_after_an_outage(liveness, engine)
        clock.seconds += 0.75 * settings.lease_s
        liveness.recover_dead_workers(ME)
        assert engine.given_back == []
        clock.seconds += 0.25 * settings.lease_s
        liveness.recover_dead_workers(ME)
    assert engine.given_back == WORK


def test_one_at_a_time_puts_work_back(liveness: Liveness, engine: Engine, settings: Settings):
    liveness.recover_dead_workers(ME)
    liveness.recover_dead_workers(ME)

    def held_by(worker: str) -> list[tuple[str, str]]:
        assert not restarted.take(), "a process of that name began while its work was put back"
        return WORK

    engine.held_by = held_by
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        restarted = WorkerLock(catalog, settings.locks, OTHER)
        liveness.recover_dead_workers(ME)
    assert engine.given_back == 2 * WORK


def test_what_this_worker_is_not_at_is_put_back_after_a_lease(
    liveness: Liveness, engine: Engine, settings: Settings, clock: Clock
):
    at = {"job-1.part"}
    liveness.return_lost(ME, at.__contains__)
    clock.seconds += 2 * settings.lease_s
    liveness.return_lost(ME, at.__contains__)
    at.clear()
    liveness.return_lost(ME, at.__contains__)
    clock.seconds += 0.75 * settings.lease_s
    liveness.return_lost(ME, at.__contains__)
    assert engine.given_back == []
    clock.seconds += 0.25 * settings.lease_s
    liveness.return_lost(ME, at.__contains__)
    assert engine.given_back == WORK
