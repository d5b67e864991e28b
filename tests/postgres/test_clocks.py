"""Hosts whose clocks are hours apart agree on who lives: only the database's clock is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.catalog import clock, jobs, workers
from service.catalog.engine import Catalog
from service.contracts.base import now
from service.settings import Settings
from tests.api.products import insert_job

LEASE_S = 5.0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_ends_no_lease_and_no_job(
    settings: Settings, hours: int, monkeypatch: pytest.MonkeyPatch
):
    catalog = Catalog(settings.resolved_database_url)
    job_id = insert_job(catalog, {})
    with catalog.begin() as connection:
        workers.seen(connection, "compute-a")
        jobs.start(connection, job_id)
        connection.execute(jobs.jobs.update().values(timeout_s=60.0))
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(hours=hours))
    with catalog.read() as connection:
        assert workers.is_alive(connection, "compute-a", LEASE_S)
        assert not workers.is_missing(connection, "compute-a", LEASE_S)
        assert workers.count_alive(connection, "compute-", LEASE_S) == 1
        assert jobs.overdue(connection) == []
    with catalog.begin() as connection:
        jobs.finish(connection, job_id, "succeeded")
        job = jobs.get(connection, job_id)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert timedelta() <= job.finished_at - job.started_at < timedelta(minutes=1)
    catalog.close()
