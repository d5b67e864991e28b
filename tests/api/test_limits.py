"""Limits: each is a setting, is shown at /v1/limits, and is answered with a problem."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.support import EXTRACTION, JSON, client_of, files_below, npy_bytes, problem_of, submit
from tests.databases.migrated import DATABASES, Databases

JSON_BYTES, UPLOAD_BYTES = 2048, 20_000
LARGE = b'{"kind": "' + b"a" * (2 * JSON_BYTES) + b'"}'


@pytest.fixture(scope="module", params=DATABASES)
def small_settings(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    limits = {"max_json_bytes": JSON_BYTES, "max_upload_bytes": UPLOAD_BYTES, "max_page": 60, "max_chunks": 1000}
    with databases.settings(request.param, tmp_path_factory.mktemp("small"), **limits) as made:
        yield made


@pytest.fixture(scope="module")
def small(small_settings: Settings) -> Iterator[TestClient]:
    with client_of(small_settings) as client:
        yield client


def in_parts(content: bytes) -> Iterator[bytes]:
    """A body without a length, sent in parts."""
    yield from (content[start : start + 500] for start in range(0, len(content), 500))


def kept(settings: Settings) -> list[str]:
    return files_below(settings.uploads_root, settings.artifacts_root)


def test_the_limits_are_shown(small: TestClient, small_settings: Settings):
    shown = small.get("/v1/limits").json()
    assert shown == small_settings.limits()
    assert (shown["max_json_bytes"], shown["max_upload_bytes"], shown["max_page"]) == (JSON_BYTES, UPLOAD_BYTES, 60)


def test_the_defaults_are_the_documented_ones(api: TestClient):
    shown = api.get("/v1/limits").json()
    assert (shown["max_json_bytes"], shown["max_upload_bytes"]) == (8 * 2**20, 8 * 2**30)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/corpora"])
def test_large_json_with_a_length_is_refused(small: TestClient, path: str):
    problem_of(small.post(path, content=LARGE, headers=JSON), 413, "too_large")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/corpora"])
def test_large_json_in_parts_is_refused(small: TestClient, path: str):
    problem_of(small.post(path, content=in_parts(LARGE), headers=JSON), 413, "too_large")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/corpora"])
def test_large_json_with_a_false_length_is_refused(small: TestClient, path: str):
    response = small.post(path, content=in_parts(LARGE), headers=JSON | {"content-length": "10"})
    problem_of(response, 413, "too_large")


def test_json_to_the_corpora_is_not_given_the_uploads_limit(small: TestClient):
    body = b'{"path": "' + b"a" * (UPLOAD_BYTES + 1) + b'"}'
    problem_of(small.post("/v1/corpora", content=body, headers=JSON), 413, "too_large")


def test_json_at_the_limit_is_read(small: TestClient):
    body = b'{"builtin": "python-docs"}'
    response = small.post("/v1/corpora", content=body.ljust(JSON_BYTES), headers=JSON)
    assert response.status_code == 201
    assert small.post("/v1/corpora", content=body.ljust(JSON_BYTES + 1), headers=JSON).status_code == 413


@pytest.mark.parametrize(("path", "name"), [("/v1/corpora", "a.txt"), ("/v1/activations", "a.npy")])
def test_a_large_upload_with_a_length_is_refused_and_not_kept(
    small: TestClient, small_settings: Settings, path: str, name: str
):
    before = kept(small_settings)
    content = npy_bytes(np.ones((UPLOAD_BYTES // 4, 1), dtype=np.float32))
    problem_of(small.post(path, files={"file": (name, content)}), 413, "too_large")
    assert kept(small_settings) == before


@pytest.mark.parametrize(("path", "name"), [("/v1/corpora", "a.txt"), ("/v1/activations", "a.npy")])
def test_a_large_upload_in_parts_is_refused_and_not_kept(
    small: TestClient, small_settings: Settings, path: str, name: str
):
    before = kept(small_settings)
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    form = head + b"a" * UPLOAD_BYTES + b"\r\n--x--\r\n"
    response = small.post(path, content=in_parts(form), headers={"content-type": "multipart/form-data; boundary=x"})
    problem_of(response, 413, "too_large")
    assert kept(small_settings) == before


def test_a_large_form_field_is_refused(small: TestClient):
    response = small.post("/v1/activations", data={"name": "a" * UPLOAD_BYTES}, files={"file": ("a.npy", b"")})
    problem_of(response, 413, "too_large")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/corpora", "/v1/activations", "/v1/radius"])
def test_a_page_longer_than_the_limit_is_refused(small: TestClient, path: str):
    assert small.get(path, params={"limit": 60}).status_code == 200
    problem = problem_of(small.get(path, params={"limit": 61}), 422, "invalid_input")
    assert problem["errors"] == [{"field": "limit", "message": "limit is at most 60"}]


def test_more_chunks_than_the_limit_are_refused(small: TestClient):
    assert submit(small, spec=EXTRACTION | {"chunks": 1000}).status_code == 202
    problem = problem_of(submit(small, spec=EXTRACTION | {"chunks": 1001}), 413, "too_large")
    assert problem["errors"][0]["field"] == "spec.chunks"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/corpora", "/v1/activations", "/v1/radius"])
def test_a_listing_without_a_limit_is_served_when_pages_are_short(settings: Settings, path: str):
    with client_of(settings.model_copy(update={"max_page": 10})) as client:
        assert client.get(path).status_code == 200
