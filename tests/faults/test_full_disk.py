"""The store's disk is full, or read-only: jobs and imports say so, reading goes on, and so does work after it ended."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.api.support import npy_bytes, problem_of
from tests.faults.conftest import Tally, on
from tests.faults.fleet import Fleet, wait_until
from tests.faults.outcomes import unlisted
from tests.faults.products import publish_set

FREE = [0, 16 * 1024]
ROWS = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def spec(fleet: Fleet) -> dict[str, Any]:
    if not fleet.disk.mounted:
        pytest.skip("a small disk can be mounted by root only")
    return {"activations": publish_set(fleet, 300), "fractions": [1.0], "k": 64}


@pytest.fixture(scope="module")
def report(fleet: Fleet, spec: dict[str, Any]) -> str:
    return fleet.run("radius", spec).reports[0]


def check_reads(fleet: Fleet, spec: dict[str, Any], report: str) -> None:
    """Everything that was there is still served."""
    wait_until(lambda: httpx2.get(f"{fleet.url}/readyz", timeout=30).status_code == 200, "the service is ready")
    for path in (
        f"/v1/radius/{report}",
        f"/v1/radius/{report}/figure.png",
        f"/v1/radius/{report}/neighbors",
        f"/v1/activations/{spec['activations']}/rows?vectors=true",
    ):
        assert httpx2.get(fleet.url + path, timeout=30).status_code == 200, path


def import_rows(fleet: Fleet) -> httpx2.Response:
    return httpx2.post(f"{fleet.url}/v1/activations", files={"file": ("rows", npy_bytes(ROWS))}, timeout=60)


def check_refused(fleet: Fleet, spec: dict[str, Any], report: str, word: str) -> str:
    """A job fails and an import is refused, both for want of room; returns the job's id."""
    done = fleet.wait_for_end(fleet.client.submit("radius", spec).id)
    assert done.state == "failed", done
    assert done.error is not None
    assert done.error["code"] == "storage_full", done.error
    assert word in done.error["detail"]
    assert done.results == []
    assert word in problem_of(import_rows(fleet), 507, "storage_full")["detail"]
    check_reads(fleet, spec, report)
    return done.id


def check_works_again(fleet: Fleet, spec: dict[str, Any], failed: list[str]) -> None:
    assert len(fleet.run("radius", spec).reports) == 1
    assert import_rows(fleet).status_code == 201
    for job_id in failed:
        fleet.client.retry(job_id)
        assert fleet.wait_for_end(job_id).state == "succeeded"


@on("postgresql")
def test_a_full_disk_fails_jobs_and_nothing_else(fleet: Fleet, spec: dict[str, Any], report: str, tally: Tally):
    before, failed, began = unlisted(fleet.settings, fleet.catalog), [], time.monotonic()
    for free_bytes in FREE:
        with fleet.disk.full(free_bytes):
            failed.append(check_refused(fleet, spec, report, "no space"))
        left = {name for name in unlisted(fleet.settings, fleet.catalog) - before if name.endswith(".tmp")}
        assert not left, left
    check_works_again(fleet, spec, failed)
    assert unlisted(fleet.settings, fleet.catalog) <= before
    tally(full=len(FREE), storage_full=len(failed), retried=len(failed), seconds=f"{time.monotonic() - began:.1f}")


@pytest.mark.long
@on("postgresql")
def test_a_read_only_disk_fails_jobs_and_nothing_else(fleet: Fleet, spec: dict[str, Any], report: str):
    before = unlisted(fleet.settings, fleet.catalog)
    with fleet.disk.read_only():
        failed = check_refused(fleet, spec, report, "read-only")
    check_works_again(fleet, spec, [failed])
    assert unlisted(fleet.settings, fleet.catalog) <= before
