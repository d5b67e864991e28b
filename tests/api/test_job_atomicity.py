"""A job answered with 202 is in our table and in the engine's queue; otherwise it is in neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from dbos import DBOSClient
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.jobs import engine
from service.jobs.engine import APP_NAME, APP_VERSION, CONTROL_QUEUE, TRAININGS_QUEUE, JobEngine, engine_url
from service.jobs.reconciler import JobReconciler
from service.settings import Settings
from tests.api.support import EXTRACTION, problem_of, submit


@pytest.fixture
def queue(settings: Settings) -> Iterator[DBOSClient]:
    """The engine's own view of its tables."""
    client = DBOSClient(system_database_url=engine_url(settings.resolved_database_url), application_name=APP_NAME)
    yield client
    client.destroy()


def jobs_and_workflows(api: TestClient, queue: DBOSClient) -> tuple[list[str], list[str]]:
    jobs = [job["id"] for job in api.get("/v1/jobs").json()["data"]]
    return sorted(jobs), sorted(workflow.workflow_id for workflow in queue.list_workflows())


def test_an_accepted_job_is_in_both_tables(api: TestClient, queue: DBOSClient):
    job_id = submit(api, priority=7).json()["id"]
    assert jobs_and_workflows(api, queue) == ([job_id], [job_id])
    workflow = queue.retrieve_workflow(job_id).get_status()
    assert (workflow.name, workflow.queue_name, workflow.status) == ("extraction", CONTROL_QUEUE, "ENQUEUED")
    assert (workflow.app_version, workflow.priority) == (APP_VERSION, 7)
    assert workflow.input is not None
    assert list(workflow.input["args"]) == [job_id]


def test_trainings_wait_in_a_queue_of_their_own(api: TestClient, queue: DBOSClient):
    job_id = api.post("/v1/jobs", json={"kind": "training", "spec": {"preset": "smoke/f2"}}).json()["id"]
    assert queue.retrieve_workflow(job_id).get_status().queue_name == TRAININGS_QUEUE


def test_what_another_version_began_is_run_anew(
    api: TestClient, queue: DBOSClient, settings: Settings, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    job_id, ended = submit(api).json()["id"], submit(api).json()["id"]
    api.post(f"/v1/jobs/{ended}/cancel")
    monkeypatch.setattr(engine, "APP_VERSION", "jobs-next")
    with closing(JobEngine(settings.resolved_database_url)) as client:
        for _ in range(2):  # the second time there is nothing left to do
            JobReconciler(catalog, client, settings).reconcile_versions()
    assert queue.retrieve_workflow(job_id).get_status().status == "CANCELLED"
    anew = queue.retrieve_workflow(f"{job_id}~1").get_status()
    assert (anew.app_version, anew.status) == ("jobs-next", "ENQUEUED")
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert (job["state"], job["retries"]) == ("queued", 1)
    assert api.get(f"/v1/jobs/{ended}").json()["state"] == "cancelled"


def test_a_refused_job_is_in_neither(api: TestClient, queue: DBOSClient):
    problem_of(submit(api, spec=EXTRACTION | {"corpus": "no-such-corpus"}), 422)
    assert jobs_and_workflows(api, queue) == ([], [])


def test_a_job_that_cannot_be_enqueued_is_in_neither(
    api: TestClient, queue: DBOSClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> None:
        raise RuntimeError("the engine is away")

    monkeypatch.setattr(JobEngine, "enqueue", fail)
    problem_of(submit(api), 500, "internal")
    assert jobs_and_workflows(api, queue) == ([], [])


def test_a_job_whose_transaction_fails_at_its_end_is_in_neither(
    api: TestClient, queue: DBOSClient, monkeypatch: pytest.MonkeyPatch
):
    enqueue = JobEngine.enqueue

    def enqueue_and_fail(self: JobEngine, *arguments: Any) -> None:
        enqueue(self, *arguments)
        raise RuntimeError("the power went")

    monkeypatch.setattr(JobEngine, "enqueue", enqueue_and_fail)
    problem_of(submit(api), 500, "internal")
    assert jobs_and_workflows(api, queue) == ([], [])


def test_a_failed_submission_does_not_block_the_next(api: TestClient, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise RuntimeError("the engine is away")

    with monkeypatch.context() as patch:
        patch.setattr(JobEngine, "enqueue", fail)
        assert submit(api).status_code == 500
    assert submit(api).status_code == 202


def test_a_corpus_and_its_count_are_enqueued_together(
    api: TestClient, queue: DBOSClient, monkeypatch: pytest.MonkeyPatch
):
    corpus_id = api.post("/v1/corpora", json={"builtin": "python-docs"}).json()["id"]
    workflow = queue.retrieve_workflow(f"scan-{corpus_id}").get_status()
    assert (workflow.name, workflow.status) == ("scan", "ENQUEUED")

    def fail(*_: Any) -> None:
        raise RuntimeError("the engine is away")

    monkeypatch.setattr(JobEngine, "enqueue", fail)
    problem_of(api.post("/v1/corpora", json={"builtin": "python-docs", "name": "second"}), 500, "internal")
    problem_of(api.get("/v1/corpora/second"), 404, "not_found")
