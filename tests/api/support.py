"""What the REST tests share: an application on its own data directory, array files, and the shape of a problem."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from service.catalog.engine import Catalog
from service.settings import Settings
from tests.api.applications import application_of
from tests.databases.soak import in_soak_all, settings_on

# What is about numbers and tried on both databases by `make soak` alone.
ONCE = settings_on("sqlite")
# What is about clients, and tried on both databases by `make soak` alone.
ON_SQLITE = pytest.mark.parametrize("shared", in_soak_all("sqlite"), indirect=True)
CANARY = "canaryQ7x"  # put into hostile input; must never come back
JSON = {"content-type": "application/json"}
EXTRACTION = {"model": "openai-community/gpt2", "corpus": "python-docs"}


@contextmanager
def client_of(settings: Settings) -> Iterator[TestClient]:
    """A client of the application for `settings`; an unexpected exception is a 500, as in production."""
    with (
        application_of(settings) as app,
        TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client,
    ):
        yield client


def catalog_of(client: TestClient) -> Catalog:
    """The catalog of the client's application, to record there what a worker would."""
    return cast(Any, client.app).state.services.catalog


def readiness_of(client: TestClient, patience_s: float = 30) -> httpx2.Response:
    """GET /readyz, repeated until the database answered: a busy machine may take longer than the route waits."""
    deadline = time.monotonic() + patience_s
    while "does not answer" in (response := client.get("/readyz")).text and time.monotonic() < deadline:
        time.sleep(0.05)
    return response


def submit(client: TestClient, kind: str = "extraction", spec: dict[str, Any] = EXTRACTION, **fields: Any) -> Any:
    """POST /v1/jobs."""
    return client.post("/v1/jobs", json={"kind": kind, "spec": spec, **fields})


def npy_bytes(array: np.ndarray) -> bytes:
    """`array` as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def import_file(client: TestClient, content: bytes, **form: str) -> httpx2.Response:
    """POST /v1/activations."""
    return client.post("/v1/activations", files={"file": ("vectors", content)}, data=form)


def import_array(client: TestClient, array: np.ndarray, name: str = "imported") -> str:
    """Import `array`; returns the id of the set."""
    response = import_file(client, npy_bytes(array), name=name)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def problem_of(response: httpx2.Response, status: int | range, code: str | None = None) -> dict[str, Any]:
    """The body of a response that must be a problem with that status (or one of a range) and code."""
    wanted = status if isinstance(status, range) else range(status, status + 1)
    assert response.status_code in wanted, f"{response.status_code}: {response.text[:300]}"
    assert response.headers["content-type"] == "application/problem+json", response.text[:300]
    body = response.json()
    assert set(body) - ({"errors"} if body["status"] != 500 else {"request_id"}) == {
        "type",
        "title",
        "status",
        "code",
        "detail",
    }
    assert body["status"] == response.status_code
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "code", "detail"))
    assert all(set(error) == {"field", "message"} for error in body.get("errors", []))
    assert code is None or body["code"] == code, body
    return body


def fields_of(problem: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in problem["errors"]]


def files_below(*folders: Path) -> list[str]:
    """Names of all files below `folders`, relative to each."""
    return sorted(str(p.relative_to(f)) for f in folders for p in f.rglob("*") if p.is_file())


@contextmanager
def nothing_added(client: TestClient, noun: str) -> Iterator[None]:
    """Whatever is sent within leaves the listing of `noun` as it was."""
    before = client.get(f"/v1/{noun}").json()
    yield
    assert client.get(f"/v1/{noun}").json() == before, "a refused request left something"
