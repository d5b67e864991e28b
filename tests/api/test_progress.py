"""Rate and remaining time of a job count the work since its last start, not what a retry found finished."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from service.catalog import jobs, segments
from service.catalog.clock import moment
from service.catalog.engine import Catalog
from service.catalog.tables import jobs as jobs_table
from service.catalog.tables import segments as segments_table
from tests.api.products import insert_job

TOTAL = 100


@pytest.fixture
def job_id(catalog: Catalog) -> str:
    """A job that has been running for ten seconds."""
    made = insert_job(catalog, {})
    with catalog.begin() as connection:
        jobs.start(connection, made)
        jobs.set_total(connection, made, TOTAL, "rows")
        connection.execute(jobs_table.update().values(started_at=moment(connection) - timedelta(seconds=10)))
    return made


def work(catalog: Catalog, job_id: str, name: str, done: int, ago: timedelta) -> None:
    with catalog.begin() as connection:
        attempt = segments.claim(connection, job_id=job_id, name=name, stage="extract", worker="a")
        segments.tick(connection, job_id, name, attempt, done=done)
        at: datetime = moment(connection) - ago
        here = segments_table.c.name == name
        connection.execute(segments_table.update().where(here).values(started_at=at, updated_at=at))


def test_the_remaining_time_shrinks_with_the_work(catalog: Catalog, job_id: str):
    seen = []
    for number, done in enumerate((10, 40)):
        work(catalog, job_id, f"part-{number}", done, timedelta())
        with catalog.read() as connection:
            progress = jobs.get(connection, job_id).progress
        assert progress.eta_s is not None
        seen.append((progress.done, progress.eta_s))
    assert [done for done, _ in seen] == [10, 50]
    assert seen[0][1] == pytest.approx(90, rel=0.2)
    assert seen[1][1] == pytest.approx(10, rel=0.2)


def test_what_was_finished_before_a_retry_is_not_of_its_rate(catalog: Catalog, job_id: str):
    work(catalog, job_id, "old", 60, timedelta(days=1))
    with catalog.begin() as connection:
        connection.execute(jobs_table.update().values(retries=1))
    work(catalog, job_id, "new", 20, timedelta())
    with catalog.read() as connection:
        progress = jobs.get(connection, job_id).progress
    assert progress.done == 80
    assert progress.rate == pytest.approx(2, rel=0.2)
    assert progress.eta_s == pytest.approx(10, rel=0.2)
