"""What a request has that no operation takes is refused and named: parameters, fields of forms, headers, origins."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.support import CANARY, JSON, client_of, fields_of, problem_of

READ = ["/v1/jobs", "/v1/corpora", "/v1/activations", "/v1/theory/table-1", "/v1/limits", "/v1/presets", "/healthz"]
FORM = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.npy"\r\n\r\n'
FAULTS = {  # a form's body, the field that is named
    "no boundary in it": (b"hello", "body"),
    "ends within a part": (PART + b"data", "body"),
    "ends within the head of a part": (PART[:40], "body"),
    "a part without a name": (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", "body"),
    "a part without a disposition": (b"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--\r\n", "body"),
    "a name that is not UTF-8": (b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--\r\n', "body"),
    "an unknown field": (b'--x\r\nContent-Disposition: form-data; name="canaryQ7x"\r\n\r\n1\r\n--x--\r\n', "body"),
    "a field twice": (b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n1\r\n' * 2 + b"--x--\r\n", "name"),
    "a file for a field": (PART.replace(b'"file"', b'"name"') + b"1\r\n--x--\r\n", "name"),
    "a field for a file": (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n1\r\n--x--\r\n', "file"),
    "text that is not UTF-8": (b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--x--\r\n', "name"),
    "a long head of a part": (b"--x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n1\r\n--x--\r\n", "body"),
    "many heads of a part": (b"--x\r\n" + b"X: a\r\n" * 1_000 + b"\r\n1\r\n--x--\r\n", "body"),
    "nothing": (b"", "body"),
    "no parts": (b"--x--\r\n", "file"),
}  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(refusing: TestClient, path: str):
    response = refusing.get(path, params={CANARY: "1"})
    assert fields_of(problem_of(response, 422, "invalid_input")) == ["query"]
    assert CANARY not in response.text


def test_the_parameters_of_an_operation_are_listed(refusing: TestClient):
    assert "takes after, kind, limit, state" in refusing.get("/v1/jobs?limits=1").json()["detail"]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "state=queued&state=queued", "limit=1&after=a&limit=1"])
def test_a_repeated_parameter_is_refused(refusing: TestClient, query: str):
    problem = problem_of(refusing.get(f"/v1/jobs?{query}"), 422, "invalid_input")
    assert problem["errors"] == [{"field": query.partition("=")[0], "message": "the parameter is given twice"}]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/estimate", "/v1/jobs/job-0/cancel", "/v1/corpora"])
def test_a_request_that_changes_something_takes_no_unknown_parameter_either(refusing: TestClient, path: str):
    problem_of(refusing.post(path, params={"force": "1"}, json={}), 422, "invalid_input")


@pytest.mark.parametrize(("body", "field"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("path", ["/v1/activations", "/v1/corpora"])
def test_a_fault_of_a_form_is_described(refusing: TestClient, path: str, body: bytes, field: str):
    response = refusing.post(path, content=body, headers=FORM)
    assert fields_of(problem_of(response, 422, "invalid_input")) == [field]
    assert CANARY not in response.text


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 300])
def test_a_form_without_a_boundary_that_may_be_is_refused(refusing: TestClient, content_type: str):
    problem_of(refusing.post("/v1/activations", content=PART, headers={"content-type": content_type}), 422)


def test_a_header_is_named(refusing: TestClient):
    response = refusing.post("/v1/jobs", json={"kind": "radius", "spec": {}}, headers={"idempotency-key": "a" * 201})
    assert fields_of(problem_of(response, 422, "invalid_input")) == ["idempotency-key"]
    response = refusing.get("/v1/jobs/job-0/events", headers={"last-event-id": CANARY})
    assert fields_of(problem_of(response, 422, "invalid_input")) == ["last-event-id"]


@pytest.mark.parametrize("origin", ["http://[bad", "http://[::1", "null", "http://evil.example", "//[", "x:y"])
def test_an_origin_that_is_none_of_ours_is_foreign(refusing: TestClient, origin: str):
    problem_of(refusing.post("/v1/jobs", json={}, headers={"origin": origin}), 403)


EMBEDDED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
FRAMED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
FOLLOWED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize("path", ["/v1/theory/figure1.png", "/v1/theory/balance", "/v1/jobs"])
def test_what_another_site_embeds_is_refused_where_there_are_no_keys(refusing: TestClient, path: str):
    for headers in (EMBEDDED, FRAMED, {"origin": "http://evil.example"}):
        problem_of(refusing.get(path, headers=headers), 403)


def test_links_health_and_documentation_stay_open(refusing: TestClient):
    assert refusing.get("/v1/jobs", headers=FOLLOWED).status_code == 200
    assert refusing.get("/v1/jobs", headers={"sec-fetch-site": "same-origin"}).status_code == 200
    for path in ("/healthz", "/openapi.json"):
        assert refusing.get(path, headers=EMBEDDED).status_code == 200


def test_with_keys_a_page_of_another_site_has_none(refusing_settings: Settings, tmp_path: Path):
    with client_of(refusing_settings.model_copy(update={"api_keys_file": tmp_path / "keys"})) as client:
        problem_of(client.get("/v1/jobs", headers=EMBEDDED), 401)


def test_the_drawn_figure_is_kept_by_the_server_and_the_browser(api: TestClient, monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Drawn:
        content = b"PNG"

    monkeypatch.setattr("service.api.query_proxy.QueryProxy.get", lambda _self, path: asked.append(path) or Drawn)
    first, second = (api.get("/v1/theory/figure1.png") for _ in range(2))
    assert first.content == second.content == b"PNG"
    assert first.headers["etag"] == second.headers["etag"]
    assert "max-age" in first.headers["cache-control"]
    assert asked == ["/figure1.png"]
    assert api.get("/v1/theory/figure1.svg").headers["content-type"].startswith("image/svg")
    assert JSON["content-type"] not in first.headers["content-type"]
