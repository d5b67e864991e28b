"""Every error of every operation is a problem: `application/problem+json` with one fixed shape."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import errors
from service.catalog.engine import Catalog
from service.contracts.jobs import Job
from service.errors import RadiusError, StorageFull, error_from_dict
from service.settings import Settings
from tests.api.openapi import committed_operations
from tests.api.support import CANARY, JSON, client_of, problem_of

OPERATIONS = committed_operations()
WITH_INPUT = [each for each in OPERATIONS if {"parameters", "requestBody"} & set(each[2])]
NAMES = [operation["operationId"] for _, _, operation in WITH_INPUT]
READ_BY_ID = [path for method, path, _ in OPERATIONS if method.upper() == "GET" and re.search(r"\{\w+_id\}", path)]


def url(path: str, value: str) -> str:
    return re.sub(r"\{\w+\}", value, path)


@pytest.mark.parametrize(
    ("method", "path", "operation"), WITH_INPUT, ids=[each[2]["operationId"] for each in WITH_INPUT]
)
def test_nonsense_in_every_place_is_a_problem(refusing: TestClient, method: str, path: str, operation: dict[str, Any]):
    query = {p["name"]: f"!{CANARY}!" for p in operation.get("parameters", []) if p["in"] == "query"}
    body = {"content": f"!{CANARY}!".encode(), "headers": JSON} if "requestBody" in operation else {}
    response = refusing.request(method, url(path, f"!{CANARY}!"), params=query, **body)
    takes_json = JSON["content-type"] in operation.get("requestBody", {"content": JSON.values()})["content"]
    expected = (422, "invalid_input") if takes_json else (415, "unsupported_media_type")
    problem_of(response, *((409, "model_not_here") if operation["operationId"] == "list_sites" else expected))
    assert CANARY not in response.text


@pytest.mark.parametrize("path", READ_BY_ID)
def test_unknown_ids_are_not_found(refusing: TestClient, path: str):
    ending = "npz" if "neighbors" in path else "html" if "report." in path else "png"
    known = path.replace("{ending}", ending).replace("{claim}", "P1")
    problem_of(refusing.get(url(known, "no-such-id")), 404, "not_found")


@pytest.mark.parametrize("path", sorted({path for _, path, _ in OPERATIONS}))
def test_wrong_methods_are_problems(refusing: TestClient, path: str):
    problem_of(refusing.patch(url(path, "some-id")), 405, "method_not_allowed")


ALLOWED = {
    "/v1/jobs": {"GET", "POST"},
    "/v1/jobs/job-0": {"GET", "DELETE"},
    "/v1/corpora/a": {"GET", "DELETE"},
    "/v1/jobs/estimate": {"GET", "POST", "DELETE"},  # a job may have that id
    "/healthz": {"GET"},
    "/login": {"GET", "POST"},  # a page, which the OpenAPI document does not have
}


@pytest.mark.parametrize("path", ALLOWED)
def test_a_wrong_method_is_told_the_right_ones(refusing: TestClient, path: str):
    """RFC 9110, 15.5.6: an answer 405 must have `Allow`, with all methods of the path."""
    told = refusing.patch(path).headers.get("allow", "")
    assert set(told.split(", ")) - {"HEAD"} == ALLOWED[path]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v2/jobs", f"/{CANARY}", "/v1/jobs/a/b", "/v1/theory", "/%00"])
def test_unknown_routes_are_problems(refusing: TestClient, path: str):
    response = refusing.get(path)
    problem_of(response, 404, "not_found")
    assert CANARY not in response.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "localhost@evil", ""])
def test_a_name_of_another_site_is_refused(refusing: TestClient, host: str):
    """DNS rebinding: a page of another site has its own name in `Host`."""
    assert refusing.get("/healthz", headers={"host": host}).status_code == 400


def test_a_refused_host_is_a_problem(refusing: TestClient):
    problem_of(refusing.get("/healthz", headers={"host": "evil.example"}), 400)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]", "[::1]:8000"])
def test_the_own_names_are_served(refusing: TestClient, host: str):
    assert refusing.get("/healthz", headers={"host": host}).status_code == 200


def test_an_unexpected_error_tells_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def fail(_self: Catalog) -> None:
        raise RuntimeError(f"{CANARY} /secret/path")

    monkeypatch.setattr(Catalog, "read", fail)
    with client_of(settings) as client:
        response = client.get("/v1/jobs")
    problem_of(response, 500, "internal")
    assert CANARY not in response.text
    assert "Traceback" not in response.text


def test_a_stored_thing_that_breaks_its_contract_is_not_the_clients_fault(
    refusing: TestClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("service.catalog.jobs.get", lambda *_: Job.model_validate({"id": "job-0"}))
    problem_of(refusing.get("/v1/jobs/job-0"), 500, "internal")


def test_a_full_disk_is_a_problem_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise StorageFull("no space left in the data directory")

    monkeypatch.setattr("service.api.corpora.publish_file", fail)
    with client_of(settings) as client:
        response = client.post("/v1/corpora", files={"file": ("a.txt", b"text")})
    problem_of(response, 507, "storage_full")


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RadiusError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_its_own_code_and_comes_back_from_it(kind: type[RadiusError]):
    assert [other for other in KINDS if other.code == kind.code] == [kind]
    error = error_from_dict(kind("what is wrong", field="where").as_dict())
    assert (type(error), error.detail, error.field, error.status) == (kind, "what is wrong", "where", kind.status)
