"""A segment whose worker dies three times before any progress fails its job, and no other one."""

from __future__ import annotations

import signal

import pytest

from service.client import JobFailed
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, wait_until
from tests.faults.test_control_deaths import SPEC

DEATHS = 3


@on("postgresql")
def test_three_deaths_at_one_place_are_a_verdict(fleet: Fleet, tally: Tally):
    # A sample of the whole corpus is drawn before the job knows how large it is: no progress to count.
    handle = fleet.client.submit("extraction", SPEC | {"chunks": 100_000, "reuse": False})
    for attempt in range(1, DEATHS + 1):

        def held(attempt: int = attempt) -> bool:
            owner = fleet.owner(handle.id)
            return owner is not None and (owner.segment, owner.attempt) == ("sample", attempt)

        wait_until(held, f"owner {attempt} draws the sample")
        owner = fleet.owner(handle.id)
        assert owner is not None
        fleet.signal(owner.worker, signal.SIGKILL)
    with pytest.raises(JobFailed, match="3 times without any progress"):
        handle.wait(timeout_s=120)
    failed = fleet.job(handle.id)
    assert failed.error is not None
    assert failed.error["code"] == "poison"
    assert fleet.run("extraction", SPEC).job.state == "succeeded"
    tally(deaths=DEATHS, code=failed.error["code"])
