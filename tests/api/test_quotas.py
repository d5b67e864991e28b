"""Quotas of projects: waiting jobs, running jobs, stored bytes; none of them is another project's concern."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from service.api.event_feed import EventPoller
from service.catalog import corpora, jobs
from service.catalog.engine import Catalog
from service.jobs.engine import CONTROL_QUEUE, REPRODUCTIONS_QUEUE, JobEngine
from service.jobs.reconciler import JobReconciler
from service.keys import create_key
from service.settings import Settings
from tests.api.support import EXTRACTION, client_of, npy_bytes, problem_of

BODY = {"kind": "extraction", "spec": EXTRACTION}


@pytest.fixture
def limited(settings: Settings) -> Settings:
    """Three jobs that wait, of which one may run."""
    limits = {"project_running_jobs": 1, "project_queued_jobs": 3, "api_keys_file": settings.data_dir / "keys"}
    return settings.model_copy(update=limits)


@pytest.fixture
def service(limited: Settings) -> Iterator[TestClient]:
    with client_of(limited) as client:
        yield client


def key_of(settings: Settings, project: str) -> dict[str, str]:
    assert settings.api_keys_file is not None
    return {"Authorization": f"Bearer {create_key(settings.api_keys_file, f'key of {project}', project, 'write')}"}


def submit(client: TestClient, headers: dict[str, str], **fields: object) -> str:
    answer = client.post("/v1/jobs", json=BODY | fields, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_jobs_beyond_the_quota_are_refused_and_those_of_others_are_not(limited: Settings, service: TestClient):
    mine, theirs = key_of(limited, "mine"), key_of(limited, "theirs")
    made = [submit(service, mine) for _ in range(3)]
    refused = service.post("/v1/jobs", json=BODY, headers=mine)
    assert "3 jobs" in problem_of(refused, 429, "too_many_requests")["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    submit(service, theirs)
    assert service.post(f"/v1/jobs/{made[2]}/cancel", headers=mine).json()["state"] == "cancelled"
    submit(service, mine)
    problem_of(service.post(f"/v1/jobs/{made[2]}/retry", headers=mine), 429)


def test_the_engine_has_as_many_jobs_of_a_project_as_may_run(limited: Settings, service: TestClient):
    mine, theirs = key_of(limited, "mine"), key_of(limited, "theirs")
    first, later, sooner = submit(service, mine), submit(service, mine), submit(service, mine, priority=1)
    other = submit(service, theirs)
    url = limited.resolved_database_url
    with closing(Catalog(url)) as catalog, closing(JobEngine(url)) as engine:
        reconciler = JobReconciler(catalog, engine, limited)

        def dispatched() -> set[str]:
            reconciler.reconcile_held()
            return set(engine.waiting(CONTROL_QUEUE))

        def end(job_id: str) -> None:
            with catalog.begin() as connection:
                jobs.start(connection, job_id)
            assert dispatched() == before  # it runs, so nothing else may
            with catalog.begin() as connection:
                jobs.finish(connection, job_id, "succeeded")

        before = dispatched()
        assert before == {first, other}
        end(first)
        before = dispatched()
        assert before == {first, other, sooner}  # by priority
        assert service.post(f"/v1/jobs/{later}/cancel", headers=mine).json()["state"] == "cancelled"
        end(sooner)
        assert dispatched() == before  # a cancelled job is not begun
        assert service.post(f"/v1/jobs/{later}/retry", headers=mine).json()["state"] == "queued"
        assert f"{later}~1" in dispatched()


def test_a_held_job_does_not_wait_for_trainings(limited: Settings, service: TestClient):
    mine = key_of(limited, "mine")
    training = service.post("/v1/jobs", json={"kind": "training", "spec": {"preset": "smoke/f2"}}, headers=mine)
    assert training.status_code == 202, training.text
    job = submit(service, mine)
    with closing(JobEngine(limited.resolved_database_url)) as engine:
        assert engine.waiting(CONTROL_QUEUE) == [job]


def test_reproductions_of_a_project_leave_places_to_others(limited: Settings, service: TestClient):
    settings = limited.model_copy(update={"project_running_jobs": 3, "project_running_reproductions": 1})
    mine, body = key_of(settings, "mine"), {"kind": "reproduction", "spec": {"scale": "smoke"}}
    with client_of(settings) as client, closing(JobEngine(settings.resolved_database_url)) as engine:
        first, second = (client.post("/v1/jobs", json=body, headers=mine).json()["id"] for _ in range(2))
        assert engine.waiting(REPRODUCTIONS_QUEUE) == [first]
        assert client.get(f"/v1/jobs/{second}", headers=mine).json()["state"] == "queued"


def test_streams_of_a_project_are_limited(limited: Settings, service: TestClient, monkeypatch: pytest.MonkeyPatch):
    most = limited.project_event_streams
    monkeypatch.setattr(EventPoller, "streams_of", lambda _, project: most if project == "mine" else most - 1)
    mine = key_of(limited, "mine")
    url = f"/v1/jobs/{submit(service, mine)}/events"
    refused = service.get(url, headers=mine | {"Accept": "text/event-stream"})
    assert f"{most} event streams" in problem_of(refused, 429)["detail"]
    assert service.get(url, headers=mine).status_code == 200  # a page is no stream


def test_corpora_of_a_project_are_limited(limited: Settings):
    settings = limited.model_copy(update={"project_scanning_corpora": 1, "project_corpora": 2, "corpus_scan_wait_s": 0})
    mine, theirs, text = key_of(limited, "mine"), key_of(limited, "theirs"), {"file": ("x.txt", b"a word")}
    with client_of(settings) as client, closing(Catalog(settings.resolved_database_url)) as catalog:

        def register(headers: dict[str, str]) -> Response:
            return client.post("/v1/corpora", files=text, headers=headers)

        first = register(mine).json()["id"]
        assert "project_scanning_corpora" in problem_of(register(mine), 429)["detail"]
        assert register(theirs).status_code == 201
        with catalog.begin() as connection:
            corpora.record_failure(connection, first, {"code": "x", "detail": "it is no text"})
        second = register(mine).json()["id"]
        with catalog.begin() as connection:
            corpora.record_failure(connection, second, {"code": "x", "detail": "it is no text"})
        assert "project_corpora" in problem_of(register(mine), 507, "quota_full")["detail"]
        assert client.delete(f"/v1/corpora/{first}", headers=mine).status_code == 204
        assert register(mine).status_code == 201
    assert len(list(settings.uploads_root.glob("corpus-*"))) == 3  # none of those that were refused


def refuse_what_is_too_much(limited: Settings, service: TestClient) -> None:
    mine, theirs = key_of(limited, "mine"), key_of(limited, "theirs")
    files = {"file": ("x", npy_bytes(np.ones((1_000, 2), dtype=np.float32)))}  # 8 kB, and a manifest
    assert service.post("/v1/activations", files=files, headers=mine).status_code == 201
    text = {"file": ("x.txt", b"a word " * 300)}
    for path, sent in (("activations", files), ("corpora", text)):
        refused = service.post(f"/v1/{path}", files=sent, headers=mine)
        assert "project_stored_bytes" in problem_of(refused, 507, "quota_full")["detail"]
    problem_of(service.post("/v1/jobs", json=BODY, headers=mine), 507, "quota_full")
    assert service.post("/v1/corpora", files=text, headers=theirs).status_code == 201
    assert list(limited.uploads_root.glob("act-*")) == []


def test_an_upload_that_declares_too_much_is_refused_before_it_is_read(limited: Settings):
    small = limited.model_copy(update={"project_stored_bytes": 10_000})
    with client_of(small) as client:
        headers = key_of(small, "mine") | {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "20000"}
        for path in ("activations", "corpora"):
            problem_of(client.post(f"/v1/{path}", content=iter([b"--x"]), headers=headers), 507, "quota_full")


def test_stored_bytes_of_a_project_are_limited(limited: Settings):
    small = limited.model_copy(update={"project_stored_bytes": 10_000})
    with client_of(small) as client:
        refuse_what_is_too_much(small, client)
