"""GET /v1/workers, the roles that are missing, and jobs that wait for one."""

from __future__ import annotations

import json

from starlette.testclient import TestClient

from service.catalog import jobs, segments, workers
from service.catalog.clock import moment
from service.catalog.engine import Catalog
from service.catalog.tables import workers as table
from service.client.calls import Calls, read_answer
from service.settings import Settings
from tests.api.products import insert_job
from tests.api.support import readiness_of, submit
from tests.api.test_metrics import DEVICE, REPORT


def seen(catalog: Catalog, *names: str) -> None:
    with catalog.begin() as connection:
        for name in names:
            workers.seen(connection, name, REPORT)


def age(catalog: Catalog, name: str, seconds: float) -> None:
    """Let a worker's last heartbeat be that long ago."""
    from datetime import timedelta

    with catalog.begin() as connection:
        earlier = moment(connection) - timedelta(seconds=seconds)
        connection.execute(table.update().where(table.c.name == name).values(seen_at=earlier))


def test_a_service_is_degraded_until_every_role_lives(api: TestClient, catalog: Catalog, settings: Settings):
    assert readiness_of(api).json() == {"status": "degraded", "missing": ["control", "compute", "query"]}
    seen(catalog, "control-a", "query-a", "train-a")
    assert readiness_of(api).json() == {"status": "degraded", "missing": ["compute"]}
    seen(catalog, "compute-a")
    assert readiness_of(api).json() == {"status": "ready"}
    age(catalog, "query-a", settings.lease_s + 1)
    assert readiness_of(api).json() == {"status": "degraded", "missing": ["query"]}
    with catalog.begin() as connection:
        workers.remove(connection, "control-a")
    assert readiness_of(api).json() == {"status": "degraded", "missing": ["control", "query"]}


def test_a_job_says_which_role_it_waits_for(api: TestClient, catalog: Catalog):
    job = submit(api).json()
    assert job["waiting_for"] == "control"
    seen(catalog, "control-a")
    assert api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] is None
    with catalog.begin() as connection:
        jobs.start(connection, job["id"])
    assert api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] == "compute"
    assert [listed["waiting_for"] for listed in api.get("/v1/jobs").json()["data"]] == ["compute"]
    seen(catalog, "compute-a")
    assert api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] is None
    with catalog.begin() as connection:
        jobs.finish(connection, job["id"], "succeeded")
        workers.remove(connection, "compute-a")
    assert api.get(f"/v1/jobs/{job['id']}").json()["waiting_for"] is None


def test_workers_are_listed_with_what_they_do(api: TestClient, catalog: Catalog, settings: Settings):
    job = insert_job(catalog, {})
    with catalog.begin() as connection:
        workers.record_device(connection, "compute-a", DEVICE)
        jobs.start(connection, job)
        segments.claim(connection, job_id=job, name="search-00", stage="search", worker="compute-a")
    seen(catalog, "compute-a", "control-a", "query-gone")
    age(catalog, "query-gone", settings.lease_s + 1)
    answer = api.get("/v1/workers")
    found, _ = read_answer(Calls.workers(), answer)
    assert [(one.name, one.role, one.state) for one in found] == [
        ("compute-a", "compute", "alive"), ("control-a", "control", "alive"), ("query-gone", "query", "lost"),
    ]  # fmt: skip
    first, second, _ = found
    assert (first.device, first.report, second.device, second.now) == (DEVICE, REPORT, None, None)
    assert first.now is not None
    assert (first.now.job, first.now.segment, first.now.stage) == (job, "search-00", "search")
    assert first.seen_s < 60
    age(catalog, "query-gone", 90_000)
    assert "query-gone" not in json.dumps(api.get("/v1/workers").json())


def test_a_worker_of_an_earlier_version_is_listed_without_a_report(api: TestClient, catalog: Catalog):
    with catalog.begin() as connection:
        workers.seen(connection, "compute-old")
    (found,) = api.get("/v1/workers").json()["data"]
    assert (found["report"], found["device"]) == (None, None)
