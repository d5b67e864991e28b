"""An API and its workers write as hard as they can to one SQLite file."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
import pytest

from service.contracts.jobs import FINAL_STATES
from tests.faults.conftest import Tally
from tests.faults.fleet import WORKERS, Fleet, wait_until
from tests.faults.products import publish_set
from tests.faults.profile import PROFILE

pytestmark = pytest.mark.long

SUBMITTERS = 3
KEPT = 15  # one of so many jobs is left to the workers, the others are cancelled


@dataclass
class Submitter:
    """Submits jobs without a pause, and cancels most of them."""

    url: str
    body: dict[str, Any]
    until: float
    seconds: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)

    def __call__(self) -> None:
        with httpx2.Client(base_url=self.url, timeout=120) as http:
            while time.monotonic() < self.until:
                began = time.monotonic()
                answer = http.post("/v1/jobs", json=self.body)
                self.seconds.append(time.monotonic() - began)
                self.answers[answer.status_code] += 1
                if answer.status_code == 202 and len(self.seconds) % KEPT:
                    cancelled = http.post(f"/v1/jobs/{answer.json()['id']}/cancel")
                    self.answers[cancelled.status_code] += 1


def locked(fleet: Fleet) -> int:
    """How often any process said that it could not get the database's lock."""
    return sum(fleet.log(name).count("database is locked") for name in ("api", *WORKERS))


def settle(fleet: Fleet) -> None:
    """Cancel what still waits, so that the next test has the workers for itself."""
    for job in list(fleet.client.jobs(200)):
        if job.state not in FINAL_STATES:
            httpx2.post(f"{fleet.url}/v1/jobs/{job.id}/cancel", timeout=60)
    open_states = {"queued", "running", "cancelling"}
    wait_until(lambda: not any(job.state in open_states for job in fleet.client.jobs(200)), "all jobs have ended")


def test_nobody_is_refused_the_lock(fleet: Fleet, tally: Tally):
    if fleet.settings.database_url is not None:
        pytest.skip("PostgreSQL has no such lock")
    before, until = locked(fleet), time.monotonic() + PROFILE.writing_s
    body = {"kind": "radius", "spec": {"activations": publish_set(fleet, 40), "fractions": [1.0]}}
    submitters = [Submitter(fleet.url, body, until) for _ in range(SUBMITTERS)]
    threads = [threading.Thread(target=submitter, daemon=True) for submitter in submitters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = [taken for submitter in submitters for taken in submitter.seconds]
    answers = sum((submitter.answers for submitter in submitters), Counter[int]())
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    settle(fleet)
    tally(submissions=len(seconds), p50=f"{p50:.3f} s", p99=f"{p99:.3f} s", longest=f"{max(seconds):.3f} s",
          answers=dict(answers), locked=locked(fleet) - before)  # fmt: skip
    assert set(answers) <= {202, 409}
    assert locked(fleet) == before
    assert p99 < PROFILE.submit_p99_s
