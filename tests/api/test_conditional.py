"""HEAD wherever there is GET; 304 for what has not changed, by ETags that are made from content."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.api.openapi import committed_operations
from tests.api.products import Published, sample_vectors
from tests.api.support import import_array, problem_of

PATHS = [
    "/v1/radius/{report}",
    "/v1/radius/{report}/figure.png",
    "/v1/radius/{report}/neighbors.npz",
    "/v1/activations/{activations}",
    "/v1/activations/{activations}/files/manifest.json",
]


@pytest.mark.parametrize("path", PATHS)
def test_what_has_not_changed_is_not_sent_again(reading: TestClient, published: Published, path: str):
    path = path.format(report=published.report, activations=published.activations)
    whole = reading.get(path)
    tag = whole.headers["etag"]
    assert whole.status_code == 200
    assert len(tag) >= 66  # a SHA-256 in quotes
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = reading.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], "content-type" in answer.headers) == (tag, False)
        assert reading.head(path, headers={"If-None-Match": known}).status_code == 304
    for unknown in ('"other"', "", tag.strip('"')):
        answer = reading.get(path, headers={"If-None-Match": unknown})
        assert (answer.status_code, answer.content) == (200, whole.content)


def test_different_files_have_different_tags(reading: TestClient, published: Published):
    tags = {reading.head(f"/v1/radius/{published.report}/figure.{ending}").headers["etag"] for ending in ("png", "svg")}
    assert len(tags) == 2


def test_a_range_is_of_the_file_that_is_known(reading: TestClient, published: Published):
    path = f"/v1/activations/{published.activations}/files/manifest.json"
    tag = reading.get(path).headers["etag"]
    assert reading.get(path, headers={"Range": "bytes=0-9", "If-Range": tag}).status_code == 206
    assert reading.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200


def test_head_is_answered_as_get_without_a_body(reading: TestClient, published: Published):
    ids = {
        "set_id": published.activations,
        "report_id": published.report,
        "job_id": published.job,
        "name": "manifest.json",
    }
    ids |= {"ending": "png", "corpus_id": "python-docs", "run_id": "run-1", "sweep_id": "sweep-1", "profile_id": "p-1"}
    ids |= {"reproduction_id": "reproduction-1", "claim": "P1"}
    tried = [path.format(**ids) for method, path, _ in committed_operations() if method == "get"]
    assert len(tried) > 40
    for path in tried:
        if path in ("/metrics", "/v1/theory/figure1.png"):
            continue  # other numbers each time; a worker's
        whole, head = reading.get(path), reading.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b""), path
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)


def test_head_of_a_live_stream_ends(reading: TestClient, published: Published):
    head = reading.head(f"/v1/jobs/{published.job}/events", headers={"Accept": "text/event-stream"})
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")


def test_an_imported_set_is_deleted_with_its_files(api: TestClient):
    set_id = import_array(api, sample_vectors())
    folder = api.app.state.services.settings.artifacts_root / set_id  # pyright: ignore
    assert folder.is_dir()
    assert api.delete(f"/v1/activations/{set_id}").status_code == 204
    assert not folder.exists()
    problem_of(api.get(f"/v1/activations/{set_id}"), 404, "not_found")
    problem_of(api.delete(f"/v1/activations/{set_id}"), 404, "not_found")


def test_a_set_in_use_stays_and_its_users_are_named(api: TestClient):
    set_id, reference = import_array(api, sample_vectors()), import_array(api, sample_vectors())
    job = api.post("/v1/jobs", json={"kind": "radius", "spec": {"activations": set_id, "reference": reference}}).json()
    for used in (set_id, reference):
        assert job["id"] in problem_of(api.delete(f"/v1/activations/{used}"), 409, "conflict")["detail"]
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    assert api.get(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
    assert api.delete(f"/v1/activations/{set_id}").status_code == 204


def test_a_set_of_a_job_goes_with_its_job(reading: TestClient, published: Published):
    problem = problem_of(reading.delete(f"/v1/activations/{published.activations}"), 409, "conflict")
    assert published.job in problem["detail"]
