"""Every request has an id in its answer and its lines of the log, and no line has what a client sent."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.api import about
from service.logs.requests import HEADER
from tests.api.openapi import committed_operations
from tests.api.support import CANARY, JSON, import_array, npy_bytes, problem_of


def access(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage().rsplit(" ", 2)[0] for line in caplog.records if line.name == "radius.access"]


def test_an_answer_has_the_id_that_was_sent_or_one_of_ours(api: TestClient):
    assert api.get("/v1/presets", headers={HEADER: "from-a-proxy_01"}).headers[HEADER] == "from-a-proxy_01"
    for given in ("short", "x" * 65, "two words here", "line\tbreak"):
        made = api.get("/v1/presets", headers={HEADER: given}).headers[HEADER]
        assert made != given
        assert len(made) == 16
    assert len({api.get("/nothing/here").headers[HEADER] for _ in range(3)}) == 3


def test_an_unexpected_error_has_the_id_in_body_header_and_log(
    api: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(about, "list_model_folders", fail)
    answer = api.get("/v1/models", headers={HEADER: "abcdefgh"})
    body = problem_of(answer, 500, "internal")
    assert (body["request_id"], answer.headers[HEADER]) == ("abcdefgh", "abcdefgh")
    assert "unexpected error" in caplog.text


def test_the_log_has_the_template_of_a_route_and_how_long_it_took(api: TestClient, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    api.get("/v1/jobs/job-1")
    api.get("/nothing/here")
    api.get("/healthz")  # polled, so not logged unless it fails
    api.request("BREW", "/v1/jobs")
    assert access(caplog)[:2] == ["GET /v1/jobs/{job_id} 404", "GET none 404"]
    assert access(caplog)[2].startswith("other ")
    fields = next(line for line in caplog.records if line.name == "radius.access").__dict__["fields"]
    assert set(fields) == {"method", "route", "status", "duration_ms"}
    assert fields["duration_ms"] >= 0


def test_no_line_has_anything_of_a_client(api: TestClient, caplog: pytest.LogCaptureFixture):
    """A canary in path, query, headers, bodies and files of every operation; and no path of this host."""
    caplog.set_level(logging.INFO)
    array = np.ones((4, 2), dtype=np.float32)
    headers = {"Authorization": f"Bearer {CANARY}", "X-Other": CANARY, "Cookie": CANARY, HEADER: f"{CANARY}!"}
    for method, path, _ in committed_operations():
        filled = path.replace("{", CANARY).replace("}", "")
        if path == "/v1/theory/figure1.{ending}":
            continue  # a worker's
        for body in (None, json.dumps({CANARY: CANARY, "texts": [CANARY], "name": CANARY}).encode()):
            api.request(method.upper(), f"{filled}?{CANARY}={CANARY}", headers=headers | JSON, content=body)
    imported = import_array(api, array, CANARY)
    api.post("/v1/corpora", json={"name": CANARY, "path": f"{CANARY}.txt"})
    api.post("/v1/corpora", files={"file": (f"{CANARY}.txt", CANARY.encode())}, data={"name": f"{CANARY}2"})
    api.post("/v1/activations", files={"file": (CANARY, npy_bytes(array)[:-3])}, data={"name": CANARY})
    api.post("/v1/jobs", json={"kind": "radius", "spec": {"activations": imported}, "labels": {CANARY: CANARY}})
    api.post(f"/v1/activations/{imported}/query", json={"texts": [CANARY]})
    ours = (line for line in caplog.records if line.name != "httpx2")  # the test's own client
    lines = [logging.Formatter().format(line) for line in ours if line.levelno >= logging.INFO]
    assert len(lines) > 60
    folder = str(api.app.state.services.settings.data_dir)  # pyright: ignore
    assert [line for line in lines if CANARY in line or folder in line] == []
