"""GET /metrics: what the process measures and what the database knows, cheap, bounded, and there without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.catalog import jobs, segments, totals, workers
from service.catalog.engine import Catalog
from service.catalog.tables import activations
from service.catalog.totals import WorkDone
from service.contracts.base import now
from service.contracts.estimates import Device
from service.contracts.workers import WorkerReport
from service.metrics.stored import WorkCounter
from service.settings import Settings
from tests.api.products import insert_job
from tests.api.support import client_of, submit
from tests.databases.rows import add_sets, vectors

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
REPORT = WorkerReport(
    versions={"radius": "1.0"},
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    segments={"done": 5, "failed": 1},
    resident_bytes=1000,
    device_used_bytes=300,
    device_utilisation=0.5,
    kernels={"energies": True, "search float16": False},
)
DEVICE = Device(device="cuda:0", name="a GPU", memory_bytes=400, fingerprint="f")


@pytest.fixture(autouse=True)
def each_scrape_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept between two scrapes."""
    monkeypatch.setenv("RADIUS_METRICS_CACHE_S", "0")


def scrape(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def one(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_requests_are_counted_by_template_and_status(api: TestClient):
    for path in ("/v1/jobs", "/v1/jobs", "/v1/jobs/job-x", "/v1/jobs/job-y", "/nothing"):
        api.get(path)
    found = scrape(api)
    counts = {("/v1/jobs", "200"): 2, ("/v1/jobs/{job_id}", "404"): 2, ("none", "404"): 1}
    for (route, status), count in counts.items():
        assert one(found, "radius_http_requests_total", method="GET", route=route, status=status) == count
    assert one(found, "radius_http_request_duration_seconds_count", method="GET", route="/v1/jobs") == 2
    assert (one(found, "radius_database_statement_duration_seconds_count") or 0) > 0


def test_what_clients_send_makes_no_series(api: TestClient):
    def send(word: str) -> int:
        for number in range(20):
            api.get(f"/v1/jobs/{word}-{number}")
            api.get(f"/{word}/{number}")
            api.request(f"{word.upper()}{number}", "/v1/jobs")
        return len(scrape(api))

    send("first")
    assert send("second") == send("third")


def test_jobs_are_counted_by_kind_and_state_and_the_oldest_waits(api: TestClient, catalog: Catalog):
    for _ in range(2):
        assert submit(api).status_code == 202
    job = insert_job(catalog, {}, "radius")
    with catalog.begin() as connection:
        jobs.start(connection, job)
    found = scrape(api)
    assert one(found, "radius_jobs", kind="extraction", state="queued") == 2
    assert one(found, "radius_jobs", kind="radius", state="running") == 1
    queue = {"kind": "extraction", "project": "default"}
    assert one(found, "radius_queued_jobs", **queue) == 2
    assert 0 <= (one(found, "radius_oldest_queued_seconds", **queue) or -1) < 60
    assert one(found, "radius_queued_jobs", kind="radius", project="default") is None
    assert one(found, "radius_database_up") == 1
    assert (one(found, "radius_database_bytes") or 0) > 10_000


def test_work_of_running_and_just_ended_jobs_is_counted(api: TestClient, catalog: Catalog):
    def progress(done: int) -> None:
        with catalog.begin() as connection:
            segments.tick(connection, job, "extract-0", attempt, done=done)

    job = insert_job(catalog, {}, "extraction")
    with catalog.begin() as connection:
        jobs.start(connection, job)
        attempt = segments.claim(connection, job_id=job, name="extract-0", stage="extract", worker="compute-a")
    progress(10)
    assert one(scrape(api), "radius_work_done_total", stage="extract", unit="rows") is None  # of before this process
    progress(30)
    assert one(scrape(api), "radius_work_done_total", stage="extract", unit="rows") == 20
    progress(35)
    with catalog.begin() as connection:
        jobs.finish(connection, job, "succeeded")
    for _ in range(2):
        assert one(scrape(api), "radius_work_done_total", stage="extract", unit="rows") == 25


@pytest.mark.parametrize(("spec", "searched"), [({"reference": vectors(2)}, 200), ({}, 100)])
def test_the_pairs_of_a_search_are_rows_times_rows_searched(
    api: TestClient, catalog: Catalog, spec: dict[str, str], searched: int
):
    add_sets(catalog, [1, 2])
    with catalog.begin() as connection:
        for number in (1, 2):
            of_number = activations.c.id == vectors(number)
            connection.execute(activations.update().where(of_number).values(n=100 * number))
    scrape(api)
    job = insert_job(catalog, {"activations": vectors(1)} | spec, "radius")
    with catalog.begin() as connection:
        jobs.start(connection, job)
        attempt = segments.claim(connection, job_id=job, name="radius-00", stage="radius", worker="compute-a")
        segments.tick(connection, job, "radius-00", attempt, done=30)
    found = scrape(api)
    assert one(found, "radius_work_done_total", stage="radius", unit="rows") == 30
    assert one(found, "radius_work_done_total", stage="radius", unit="pairs") == 30 * searched


def test_a_counter_of_work_never_falls_and_counts_new_jobs_whole():
    counter, at = WorkCounter(), now()
    assert counter.add([WorkDone("a", "search", "rows", 5)], at) == {}
    assert counter.add([WorkDone("b", "search", "rows", 7)], at) == {("search", "rows"): 7}
    later = at + timedelta(seconds=1)
    assert counter.add([WorkDone("b", "search", "rows", 3)], later) == {("search", "rows"): 7}
    assert counter.since == later


def test_workers_are_shown_as_they_report(api: TestClient, catalog: Catalog):
    with catalog.begin() as connection:
        workers.record_device(connection, "compute-a", DEVICE)
        workers.seen(connection, "compute-a", REPORT)
        workers.seen(connection, "control-a")
    found, role = scrape(api), {"worker": "compute-a", "role": "compute"}
    assert one(found, "radius_workers", role="compute") == one(found, "radius_workers", role="control") == 1
    assert one(found, "radius_workers", role="query") == 0
    expected = {"device_memory_bytes": 400, "device_used_bytes": 300, "device_utilisation": 0.5}
    expected |= {"worker_up": 1, "worker_busy": 0, "worker_resident_bytes": 1000}
    assert {name: one(found, f"radius_{name}", **role) for name in expected} == expected
    assert one(found, "radius_segments_total", outcome="done", **role) == 5
    assert one(found, "radius_worker_kernel", kernel="energies", **role) == 1
    assert one(found, "radius_worker_kernel", kernel="search float16", **role) == 0
    assert one(found, "radius_device_used_bytes", worker="control-a", role="control") is None


def test_a_scrape_within_the_pause_reads_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    reads: list[int] = []
    real = totals.job_counts
    monkeypatch.setattr(totals, "job_counts", lambda connection: reads.append(1) or real(connection))
    with client_of(settings.model_copy(update={"metrics_cache_s": 60})) as client:
        for _ in range(5):
            scrape(client)
    assert len(reads) == 1
