"""The control worker only plans and waits: its deaths never count against a job."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.catalog.tables import segments
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, wait_until
from tests.faults.outcomes import published_by
from tests.faults.profile import PROFILE

SPEC = {
    "model": "tiny",
    "corpus": "python-docs",
    "sites": ["final_norm_out"],
    "chunk_tokens": 16,
    "chunks": 480,
    "chunks_per_document": "all",
}


@pytest.mark.long
@on("postgresql")
def test_a_job_outlives_every_death_of_the_control_worker(fleet: Fleet, tally: Tally):
    handle = fleet.client.submit("extraction", SPEC)
    deaths = 0
    for number in range(PROFILE.control_deaths):
        share = number / (PROFILE.control_deaths + 1)
        wait_until(lambda: handle.get().progress.done >= share * SPEC["chunks"], "the job goes on")  # noqa: B023
        deaths += handle.get().state in ("queued", "running")
        fleet.kill("control-a")
    done = handle.wait(timeout_s=120).job
    tally(control_deaths=deaths, state=done.state)
    assert deaths == PROFILE.control_deaths, "the job ended before the last death"
    assert (done.retries, done.error) == (0, None)
    assert published_by(fleet.catalog, done.id) == [result.id for result in done.results]
    with fleet.catalog.read() as connection:
        lost = connection.execute(sa.select(sa.func.sum(segments.c.deaths)).where(segments.c.job == done.id)).scalar()
    assert lost == 0
