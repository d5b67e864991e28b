"""An estimate beside the job it was of, on a device that is measured for it."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.contracts.estimates import Estimate
from tests.end_to_end.conftest import ANALYSIS, PATIENCE_S, Running

pytestmark = pytest.mark.long

SPEC = ANALYSIS | {"chunks": 90, "seed": 4242, "energy": {}}


@pytest.fixture(scope="module")
def estimate(service: Running) -> Estimate:
    deadline = time.monotonic() + PATIENCE_S
    while (found := service.client.estimate("analysis", SPEC)).calibration is None:  # torch is imported first
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def segment_count(service: Running, job_id: str) -> int:
    query = sa.select(sa.func.count()).where(segments.c.job == job_id)
    with closing(Catalog(service.settings.resolved_database_url)) as catalog, catalog.read() as connection:
        return connection.execute(query).scalar_one()


def test_the_device_is_measured_and_times_are_given(estimate: Estimate):
    assert estimate.calibration is not None
    assert estimate.device is not None
    assert estimate.device.device == "cpu"
    assert estimate.device.memory_bytes > 2**30
    narrow, wide = estimate.calibration.forward
    assert narrow.d_model < wide.d_model
    assert estimate.seconds is not None
    assert 0 < estimate.seconds < 60
    assert estimate.workers >= 1
    assert estimate.fits


def test_the_job_has_the_segments_rows_and_bytes_that_were_said(service: Running, estimate: Estimate):
    done = service.run("analysis", SPEC)
    assert estimate.segments == segment_count(service, done.job.id)
    sets = [service.client.activations(set_id) for set_id in done.activations]
    assert {detail.n for detail in sets} == {estimate.rows}
    vectors = sum(entry["bytes"] for detail in sets for entry in detail.manifest["files"] if "shard-" in entry["name"])
    said = sum(stage.written_bytes for stage in estimate.stages if stage.stage == "extract")
    assert vectors == pytest.approx(said, rel=0.2)  # a header for each shard of 2 kB
    again = service.client.estimate("analysis", SPEC)
    assert again.reused is not None
    assert again.reused.job == done.job.id
    assert again.reused.activations == done.activations
    assert "extract" not in [stage.stage for stage in again.stages]
    assert service.client.estimate("analysis", SPEC | {"reuse": False}).reused is None
