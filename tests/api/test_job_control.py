"""Cancel, retry, delete and events, without workers."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from service.catalog import jobs, training
from service.catalog.engine import Catalog
from service.jobs.engine import CONTROL_QUEUE, JobEngine, workflow_id
from service.jobs.reconciler import JobReconciler
from service.settings import Settings
from tests.api.products import insert_job, insert_run, publish_report
from tests.api.support import EXTRACTION, problem_of, submit

BODY = {"kind": "extraction", "spec": EXTRACTION}


def post(api: TestClient, path: str):
    return api.post(path)


@pytest.fixture
def job_id(api: TestClient) -> str:
    return submit(api, "extraction", EXTRACTION).json()["id"]


def types(api: TestClient, job_id: str) -> list[str]:
    return [event["type"] for event in api.get(f"/v1/jobs/{job_id}/events").json()["data"]]


def test_a_waiting_job_is_cancelled_at_once_and_only_once(api: TestClient, job_id: str):
    for _ in range(2):
        answer = post(api, f"/v1/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    assert types(api, job_id) == ["queued", "cancelling", "cancelled"]


def test_what_has_ended_is_not_cancelled(api: TestClient, catalog: Catalog, job_id: str):
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        jobs.finish(connection, job_id, "succeeded")
    problem_of(post(api, f"/v1/jobs/{job_id}/cancel"), 409, "conflict")
    problem_of(post(api, f"/v1/jobs/{job_id}/retry"), 409, "conflict")


def test_a_cancelled_job_ends_no_other_way(catalog: Catalog, api: TestClient, job_id: str):
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        jobs.request_cancel(connection, job_id)
        assert not jobs.finish(connection, job_id, "succeeded")
        assert not jobs.finish(connection, job_id, "failed", {"code": "x", "detail": "y"})
        assert jobs.finish(connection, job_id, "cancelled")
        assert not jobs.finish(connection, job_id, "cancelled")


def test_a_failed_job_is_retried_under_its_own_id(api: TestClient, catalog: Catalog, job_id: str):
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        jobs.finish(connection, job_id, "failed", {"code": "lost", "detail": "gone"})
    answer = post(api, f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["id"], job["state"], job["retries"], job["error"]) == (job_id, "queued", 1, None)
    problem_of(post(api, f"/v1/jobs/{job_id}/retry"), 409, "conflict")
    assert post(api, f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert post(api, f"/v1/jobs/{job_id}/retry").json()["retries"] == 2
    assert types(api, job_id).count("queued") == 3


def test_events_are_paged_and_streamed_in_order(api: TestClient, catalog: Catalog, job_id: str):
    with catalog.begin() as connection:
        jobs.start(connection, job_id)
        jobs.set_total(connection, job_id, 10, "rows")
        jobs.finish(connection, job_id, "succeeded")
    whole = api.get(f"/v1/jobs/{job_id}/events").json()["data"]
    assert [event["type"] for event in whole] == ["queued", "running", "planned", "succeeded"]
    page = api.get(f"/v1/jobs/{job_id}/events?limit=3").json()
    rest = api.get(f"/v1/jobs/{job_id}/events?after={page['next']}").json()
    assert page["data"] + rest["data"] == whole
    assert rest["next"] is None
    accept = {"Accept": "text/event-stream"}
    streamed = api.get(f"/v1/jobs/{job_id}/events", headers=accept).text
    assert [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: ")] == whole
    resumed = api.get(f"/v1/jobs/{job_id}/events", headers=accept | {"Last-Event-ID": str(whole[1]["id"])}).text
    assert [line[7:] for line in resumed.splitlines() if line.startswith("event: ")] == ["planned", "succeeded"]
    assert api.get("/v1/jobs/job-none/events").status_code == 404


def test_a_deleted_job_takes_its_products_with_it(api: TestClient, settings: Settings):
    made = publish_report(settings)
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 204
    for path in (f"jobs/{made.job}", f"activations/{made.activations}", f"radius/{made.report}"):
        assert api.get(f"/v1/{path}").status_code == 404
    assert not list(settings.artifacts_root.glob("act-*"))
    assert not list(settings.artifacts_root.glob("radius-*"))
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 404


def test_what_others_use_or_what_runs_is_not_deleted(api: TestClient, settings: Settings, job_id: str):
    from tests.api.products import insert_job, measure

    problem_of(api.delete(f"/v1/jobs/{job_id}"), 409, "conflict")
    made = publish_report(settings)
    catalog = Catalog(settings.resolved_database_url)
    other = insert_job(catalog, {})
    measure(settings, catalog, other, made.activations)
    catalog.close()
    problem_of(api.delete(f"/v1/jobs/{made.job}"), 409, "conflict")
    assert api.get(f"/v1/activations/{made.activations}").status_code == 200


def test_a_job_that_takes_longer_than_it_may_fails(settings: Settings, catalog: Catalog, api: TestClient):
    limits = {"slow": 0.001, "quick": 1e6}
    made = {
        name: api.post("/v1/jobs", json=BODY | {"timeout_s": seconds}).json()["id"] for name, seconds in limits.items()
    }
    with catalog.begin() as connection:
        for job_id in made.values():
            jobs.start(connection, job_id)
    time.sleep(0.01)
    reconciler = JobReconciler(catalog, JobEngine(settings.resolved_database_url), settings)
    reconciler.reconcile_overdue()
    slow, quick = (api.get(f"/v1/jobs/{made[name]}").json() for name in limits)
    assert (slow["state"], slow["error"]["code"], slow["timeout_s"]) == ("failed", "timeout", 0.001)
    assert (quick["state"], quick["error"]) == ("running", None)
    assert types(api, made["slow"])[-1] == "failed"
    reconciler.engine.close()


def test_a_late_cancellation_leaves_the_retry_alone(settings: Settings, api: TestClient, catalog: Catalog, job_id: str):
    post(api, f"/v1/jobs/{job_id}/cancel")
    post(api, f"/v1/jobs/{job_id}/retry")
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        engine.cancel(workflow_id(job_id, 0))  # by a process that had read the job before it was taken up again
        assert engine.waiting(CONTROL_QUEUE) == [workflow_id(job_id, 1)]
        engine.cancel(workflow_id(job_id, 1))
        assert engine.waiting(CONTROL_QUEUE) == []


@pytest.mark.parametrize("field", ["activations", "reference"])
def test_what_a_waiting_job_names_is_not_deleted(settings: Settings, api: TestClient, field: str):
    made, other = publish_report(settings), publish_report(settings)
    named = {"activations": other.activations, field: made.activations}
    user = submit(api, "radius", named).json()["id"]
    problem_of(api.delete(f"/v1/jobs/{made.job}"), 409, "conflict")
    post(api, f"/v1/jobs/{user}/cancel")
    assert api.delete(f"/v1/jobs/{made.job}").status_code == 204


def test_the_run_of_a_model_that_a_waiting_job_names_is_not_deleted(catalog: Catalog, api: TestClient):
    run = insert_run(catalog)
    with catalog.begin() as connection:
        made = training.get(connection, run).job
        jobs.start(connection, made)
        jobs.finish(connection, made, "succeeded")
    user = insert_job(catalog, {"model": f"run:{run}@20"})
    problem_of(api.delete(f"/v1/jobs/{made}"), 409, "conflict")
    post(api, f"/v1/jobs/{user}/cancel")
    assert api.delete(f"/v1/jobs/{made}").status_code == 204
