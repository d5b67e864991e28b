"""The progress of a job that is shown: work of all segments, and the time left where a rate can predict it."""

from __future__ import annotations

import pytest

from service.catalog import jobs, segments
from service.catalog.engine import Catalog
from service.principal import DEFAULT_PROJECT
from tests.databases.rows import AT, add_jobs, add_segments, job


@pytest.mark.parametrize(("unit", "total", "left_s"), [("rows", 24, 15.0), ("rows", 5, 0.0), ("claims", 24, None)])
def test_a_rate_predicts_the_time_left_of_even_work(catalog: Catalog, unit: str, total: int, left_s: float | None):
    add_jobs(catalog, range(1), state="running", started_at=AT, total=total, unit=unit)
    add_segments(catalog, 0, 9)
    with catalog.of(DEFAULT_PROJECT).read() as connection:
        progress = jobs.get(connection, job(0)).progress
    assert (progress.done, progress.rate, progress.eta_s) == (9, 1.0, left_s)


def test_the_work_of_the_other_segments_is_added_up(catalog: Catalog):
    add_jobs(catalog, range(2), state="running", started_at=AT, total=24)
    add_segments(catalog, 0, 9)
    with catalog.read() as connection:
        assert segments.done_elsewhere(connection, job(0), "publish-00") == 8
        assert segments.done_elsewhere(connection, job(0), "report-000001") == 9
        assert segments.done_elsewhere(connection, job(1), "report-000001") == 0
