"""A reproduction over the whole service; killed workers leave the same report to the last digit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from service.catalog import segments
from service.catalog.engine import Catalog
from service.client import Handle
from service.contracts.reproduction import ReproductionReport
from tests.databases.soak import SOAK
from tests.end_to_end.conftest import PATIENCE_S, Running
from tests.end_to_end.test_kill import kill

# The claims of one analysis where all is tried, else those of one short training, for which only a small part is run.
CLAIMS = ["E1", "P1", "P3", "A2", "F1b", "F1c", "F2a", "AE"] if SOAK else ["AE", "F2a"]
SPEC = {"scale": "smoke", "model": "tiny", "claims": CLAIMS}


def report_of(service: Running, handle: Handle) -> ReproductionReport:
    done = handle.wait(timeout_s=10 * PATIENCE_S if SOAK else PATIENCE_S)
    (report_id,) = [result.id for result in done.job.results]
    return service.client.reproduction(report_id)


def numbers_of(report: ReproductionReport) -> list[dict[str, Any]]:
    """All that the report says of its claims but the ids of jobs."""
    return [claim.model_dump(exclude={"evidence"}) for claim in report.claims]


def submitted(service: Running, seed: int) -> Handle:
    return service.client.submit("reproduction", SPEC | {"seed": seed})


def wait_for_a_part(service: Running, handle: Handle) -> None:
    """Until a job of a part runs."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for job in service.client.jobs():
            if job.labels.get("reproduction") == handle.id and job.state == "running":
                return
        time.sleep(0.05)
    raise AssertionError("no part began")


@pytest.mark.long
@pytest.mark.parametrize("killed", ["compute", "control"] if SOAK else ["control"])
def test_killed_workers_leave_the_same_report(service: Running, killed: str):
    seed = {"compute": 1, "control": 2}[killed]  # parts of an equal spec would be used again
    handle = submitted(service, seed)
    wait_for_a_part(service, handle)
    kill(service, killed)
    broken = report_of(service, handle)
    assert broken.complete
    part = next(run for run in broken.runs if run.part == "questions")
    assert (part.state, part.preset, part.reused) == ("succeeded", "smoke/f2", False)
    for run in broken.runs:
        assert run.job is not None
        service.client.delete_job(run.job)
    with Catalog(service.settings.resolved_database_url).read() as connection:
        assert sum(stage.done for stage in segments.stages(connection, [handle.id])[handle.id]) == len(CLAIMS)
    again = report_of(service, submitted(service, seed))
    assert numbers_of(again) == numbers_of(broken)
    assert {claim.id: claim.verdict for claim in again.claims}["AE"] == "contradicted"
    reused = report_of(service, submitted(service, seed))
    assert [run.reused for run in reused.runs if run.part == "questions"] == [True]
    assert numbers_of(reused) == numbers_of(broken)
