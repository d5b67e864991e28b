"""Whose work is put back on the queues: the dead's at the second look, the frozen's at once, nobody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

import pytest

from service.catalog import workers
from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock, worker_lock
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


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def liveness(catalog: Catalog, settings: Settings, engine: Engine) -> Liveness:
    return Liveness(catalog, cast(JobEngine, engine), settings)


@contextmanager
def living(settings: Settings) -> Iterator[None]:
    catalog = Catalog(settings.resolved_database_url)
    with worker_lock(catalog, settings.locks, OTHER) as held:
        assert held
        with catalog.begin() as connection:
            workers.seen(connection, OTHER)
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
            assert liveness.lives(OTHER)
    assert engine.given_back == []


def test_a_frozen_worker_has_its_lock_and_loses_its_work(catalog: Catalog, engine: Engine, settings: Settings):
    impatient = settings.model_copy(update={"lease_s": 1e-6})
    with living(settings):
        Liveness(catalog, cast(JobEngine, engine), impatient).recover_dead_workers(ME)
    assert engine.given_back == WORK


def test_after_an_outage_nobody_is_frozen_for_a_lease(catalog: Catalog, engine: Engine, settings: Settings):
    """All were unseen while the database was away; they need time to say that they live."""
    liveness = Liveness(catalog, cast(JobEngine, engine), settings.model_copy(update={"lease_s": 0.5}))
    with living(settings):
        time.sleep(0.6)
        look_after_an_outage(liveness, engine)
        time.sleep(0.6)
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


def test_what_this_worker_is_not_at_is_put_back_after_a_lease(catalog: Catalog, engine: Engine, settings: Settings):
    liveness, at = (
        Liveness(catalog, cast(JobEngine, engine), settings.model_copy(update={"lease_s": 0.2})),
        {"job-1.part"},
    )
    liveness.return_lost(ME, at.__contains__)
    time.sleep(0.3)
    liveness.return_lost(ME, at.__contains__)
    at.clear()
    liveness.return_lost(ME, at.__contains__)
    assert engine.given_back == []
    time.sleep(0.3)
    liveness.return_lost(ME, at.__contains__)
    assert engine.given_back == WORK
