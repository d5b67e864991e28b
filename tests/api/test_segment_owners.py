"""Who owns a segment: counting owners and deaths, refusing those that came too late."""

from __future__ import annotations

import pytest

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.errors import Cancelled, PoisonSegment, Superseded
from tests.api.products import insert_job

NAME = "extract-00000"


@pytest.fixture
def job_id(catalog: Catalog) -> str:
    made = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, made)
    return made


def claim(catalog: Catalog, job_id: str, worker: str = "a") -> int:
    with catalog.begin() as connection:
        return segments.claim(connection, job_id=job_id, name=NAME, stage="extract", worker=worker)


def tick(catalog: Catalog, job_id: str, attempt: int, done: int) -> None:
    with catalog.begin() as connection:
        segments.tick(connection, job_id, NAME, attempt, done=done)


def test_an_owner_that_was_replaced_is_refused(catalog: Catalog, job_id: str):
    first = claim(catalog, job_id)
    tick(catalog, job_id, first, 5)
    second = claim(catalog, job_id, "b")
    assert second == first + 1
    with pytest.raises(Superseded):
        tick(catalog, job_id, first, 6)
    with catalog.begin() as connection:
        segments.release(connection, job_id=job_id, name=NAME, attempt=first)  # too late: it changes nothing
        assert segments.running(connection, job_id) == ["b"]
    tick(catalog, job_id, second, 3)  # it catches up first
    with catalog.read() as connection:
        assert jobs.get(connection, job_id).progress.done == 5


def test_three_deaths_without_progress_are_poison(catalog: Catalog, job_id: str):
    for _ in range(3):
        claim(catalog, job_id)
    with pytest.raises(PoisonSegment, match="3 times"):
        claim(catalog, job_id)


def test_progress_in_between_starts_the_count_again(catalog: Catalog, job_id: str):
    for done in range(1, 12):
        tick(catalog, job_id, claim(catalog, job_id), done)
    for _ in range(2):
        claim(catalog, job_id)
    with pytest.raises(PoisonSegment):
        claim(catalog, job_id)


@pytest.mark.parametrize("how", ["release", "release_all"])
def test_an_orderly_stop_is_no_death(catalog: Catalog, job_id: str, how: str):
    for _ in range(10):
        attempt = claim(catalog, job_id)
        with catalog.begin() as connection:
            if how == "release":
                segments.release(connection, job_id=job_id, name=NAME, attempt=attempt)
            else:
                segments.release_all(connection, "a")


def test_a_cancelled_job_is_worked_on_no_more(catalog: Catalog, job_id: str):
    attempt = claim(catalog, job_id)
    with catalog.begin() as connection:
        jobs.request_cancel(connection, job_id)
    for late in (lambda: tick(catalog, job_id, attempt, 1), lambda: claim(catalog, job_id, "b")):
        with pytest.raises(Cancelled):
            late()


def test_a_retry_forgets_owners_and_deaths(catalog: Catalog, job_id: str):
    attempt = [claim(catalog, job_id) for _ in range(3)][-1]
    with catalog.begin() as connection:
        jobs.finish(connection, job_id, "failed", {"code": "poison", "detail": "x"})
        jobs.retry(connection, job_id)
        jobs.start(connection, job_id)
    with pytest.raises(Superseded):  # one that was still at it
        tick(catalog, job_id, attempt, 1)
    for _ in range(3):
        claim(catalog, job_id)


def test_what_nobody_needs_any_more_is_what_is_held_of_a_job_that_does_not_run(catalog: Catalog, job_id: str):
    attempt = claim(catalog, job_id)

    def unneeded(worker: str) -> list[tuple[str, str]]:
        with catalog.read() as connection:
            return segments.unneeded(connection, worker)

    assert unneeded("a") == []
    with catalog.begin() as connection:
        jobs.request_cancel(connection, job_id)
    assert (unneeded("a"), unneeded("b")) == ([(job_id, NAME)], [])
    with catalog.begin() as connection:
        segments.release(connection, job_id=job_id, name=NAME, attempt=attempt)
    assert unneeded("a") == []
