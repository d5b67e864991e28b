"""Cancel, retry, takeover and fencing with real workers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from service.catalog import segments, workers
from service.catalog.engine import Catalog
from service.client import Finished, JobFailed
from service.contracts.jobs import FINAL_STATES, Job
from service.supervisor import environment
from tests.end_to_end.conftest import EXTRACTION, PATIENCE_S, Running


def wait_for(service: Running, job_id: str, ready: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while not ready(job := service.client.job(job_id)):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def begun(job: Job) -> bool:
    return job.progress.stage == "extract" and job.progress.done > 100


def ended(job: Job) -> bool:
    return job.state in FINAL_STATES


def control(service: Running, job_id: str, verb: str) -> httpx2.Response:
    return httpx2.post(f"{service.url}/v1/jobs/{job_id}/{verb}")


def test_a_running_job_is_cancelled_and_taken_up_again(service: Running, unbroken: Finished):
    handle = service.client.submit("extraction", EXTRACTION)
    wait_for(service, handle.id, begun)
    asked = time.monotonic()
    assert control(service, handle.id, "cancel").json()["state"] in ("cancelling", "cancelled")
    wait_for(service, handle.id, ended)
    assert service.client.job(handle.id).state == "cancelled"
    assert time.monotonic() - asked < 10
    with pytest.raises(JobFailed):
        handle.wait()
    kept = len(list((service.settings.staging_root / handle.id).glob("site-00/shard-*")))
    assert kept > 0
    assert control(service, handle.id, "retry").json()["retries"] == 1
    done = handle.wait(timeout_s=PATIENCE_S)
    assert done.job.state == "succeeded"
    for mine, other in zip(done.activations, unbroken.activations, strict=True):
        assert service.shards(mine) == service.shards(other)  # as if it had never been stopped
    assert httpx2.delete(f"{service.url}/v1/jobs/{handle.id}").status_code == 204
    assert not (service.settings.artifacts_root / done.activations[0]).exists()


@pytest.fixture
def second_worker(service: Running) -> Iterator[subprocess.Popen[bytes]]:
    """A compute worker of another name on the same queue, seen alive."""
    settings = service.settings.model_copy(update={"worker_name": "second"})
    command = [sys.executable, "-m", "workers.main", "--role", "compute"]
    process = subprocess.Popen(command, env=environment(settings))
    catalog = Catalog(settings.resolved_database_url)
    deadline = time.monotonic() + PATIENCE_S
    while not _seen(catalog, "compute-second"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    catalog.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _seen(catalog: Catalog, name: str) -> bool:
    with catalog.read() as connection:
        return workers.is_missing(connection, name, -1)


def held_by_second(service: Running, catalog: Catalog, job_id: str) -> bool:
    with catalog.read() as connection:
        return "compute-second" in segments.running(connection, job_id)


@pytest.mark.long
def test_another_worker_takes_over(service: Running, second_worker: subprocess.Popen[bytes]):
    """A dead worker's lock is free. (A frozen one's is not: `tests/faults/test_frozen_worker.py`.)"""
    catalog = Catalog(service.settings.resolved_database_url)
    handle = service.client.submit("extraction", EXTRACTION | {"seed": 9})
    deadline = time.monotonic() + PATIENCE_S
    while not (begun(service.client.job(handle.id)) and held_by_second(service, catalog, handle.id)):
        assert time.monotonic() < deadline, service.client.job(handle.id)
        time.sleep(0.01)
    second_worker.kill()
    asked = time.monotonic()
    done = handle.wait(timeout_s=PATIENCE_S)
    assert time.monotonic() - asked < 60
    assert done.job.progress.done == done.job.progress.total
    assert len(done.activations) == 2
    catalog.close()
