"""A real service as its operator sees it: metrics, workers, logs; a backup that is taken while a job runs continues."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from service.backup.making import make_backup
from service.backup.restoring import restore_backup
from service.client import Client
from service.contracts.jobs import Job
from service.settings import Settings
from service.supervisor import Supervisor
from tests.databases.migrated import DATABASES, Databases
from tests.end_to_end.conftest import EXTRACTION, OPTIONS

LONG = EXTRACTION | {"chunks": 1500}
PATIENCE_S = 300.0  # two services are started, one after the other


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Supervisor, Client]]:
    supervisor = Supervisor(settings)
    try:
        supervisor.start()
        with Client(supervisor.url) as client:
            client.wait_until_ready(PATIENCE_S)
            yield supervisor, client
    finally:
        supervisor.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def readiness(supervisor: Supervisor) -> dict[str, object]:
    return httpx2.get(f"{supervisor.url}/readyz", timeout=PATIENCE_S).json()


def begun(job: Job) -> bool:
    return job.progress.stage == "extract" and job.progress.done > 200


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.long
def test_a_service_is_watched_copied_while_a_job_runs_and_continues_elsewhere(
    kind: str, databases: Databases, tmp_path: Path, tiny_model: Path
):
    options = OPTIONS | {"log_format": "json", "metrics_cache_s": 0}
    with databases.settings(kind, tmp_path / "data", **options) as settings:
        shutil.copytree(tiny_model, settings.models_root / "tiny")
        with running(settings) as (supervisor, client):
            until(lambda: readiness(supervisor) == {"status": "ready"})
            assert {worker.role for worker in client.workers()} == {"control", "compute", "query"}
            handle = client.submit("extraction", LONG)
            until(lambda: begun(client.job(handle.id)))
            assert any(worker.now is not None and worker.now.job == handle.id for worker in client.workers())
            copied = make_backup(settings, tmp_path / "backup")
            done = handle.wait(timeout_s=PATIENCE_S)
            expected = [_numbers(client, made) for made in done.activations]
            _is_shown(supervisor)
            _crash_is_told(supervisor, settings)
    assert any("/.staging/" in file.path for file in copied.files)
    with databases.empty(kind, tmp_path / "elsewhere") as made:
        settings = made.model_copy(update=options)
        assert restore_backup(settings, tmp_path / "backup").open_jobs == 1
        with running(settings) as (_, client):
            until(lambda: client.job(handle.id).state == "succeeded")
            job = client.job(handle.id)
            assert [_numbers(client, result.id) for result in job.results] == expected
            assert client.submit("extraction", EXTRACTION).wait(timeout_s=PATIENCE_S).job.state == "succeeded"
    _lines_are_json(tmp_path / "data" / "logs", str(tmp_path))


def _numbers(client: Client, made: str) -> dict[str, str]:
    return {entry["name"]: entry["sha256"] for entry in client.activations(made).manifest["files"]}


def _is_shown(supervisor: Supervisor) -> None:
    text = httpx2.get(f"{supervisor.url}/metrics", timeout=PATIENCE_S).text
    shown = [line for line in text.splitlines() if not line.startswith("#")]
    assert 'radius_jobs{kind="extraction",state="succeeded"} 1.0' in shown
    assert any(line.startswith('radius_segments_total{outcome="done"') for line in shown)


def _crash_is_told(supervisor: Supervisor, settings: Settings) -> None:
    child = supervisor.child("query")
    assert child.process is not None
    process = child.process
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: child.process is not process)


def _lines_are_json(folder: Path, path: str) -> None:
    found = [json.loads(line) for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    assert {line["process"] for line in found} == {"api", "control", "compute", "query"}
    assert any(line["message"].startswith("POST /v1/jobs 202") and line["request_id"] for line in found)
    assert sum(line["message"] == "stopped" for line in found) >= 3  # the query worker was killed
    assert [line for line in found if path in line["message"]] == []
