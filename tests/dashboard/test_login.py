"""With keys a person logs in; the cookie is a key's, so scopes, projects and revoking hold for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.keys import create_key, remove_key
from service.settings import Settings
from tests.api.support import client_of, submit

BROWSER = {"accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def guarded(settings: Settings, keys: Path) -> Iterator[TestClient]:
    create_key(keys, "first")
    with client_of(settings.model_copy(update={"api_keys_file": keys})) as client:
        client.follow_redirects = False
        yield client


def test_a_browser_without_a_key_is_asked_for_one(guarded: TestClient):
    answer = guarded.get("/jobs?state=failed", headers=BROWSER)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fjobs%3Fstate%3Dfailed"
    assert guarded.get("/jobs").status_code == 401
    assert guarded.get("/v1/jobs", headers=BROWSER).status_code == 401
    assert guarded.get("/login").status_code == guarded.get("/static/page.css").status_code == 200


def test_a_key_opens_the_pages_until_it_is_revoked(guarded: TestClient, keys: Path):
    key = create_key(keys, "page")
    answer = guarded.post("/login", data={"key": key, "next": "/jobs?kind=radius"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?kind=radius")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "page" in guarded.get("/", headers=BROWSER).text
    assert submit(guarded).status_code == 202
    foreign = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
    assert guarded.post("/v1/jobs", json={"kind": "extraction", "spec": {}}, headers=foreign).status_code == 403
    remove_key(keys, "page")
    assert guarded.get("/", headers=BROWSER).status_code == 303


def test_leaving_forgets_the_key(guarded: TestClient, keys: Path):
    guarded.post("/login", data={"key": create_key(keys, "page")})
    answer = guarded.post("/logout", headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.headers["set-cookie"].startswith('radius_key=""; ')
    assert guarded.get("/", headers=BROWSER).status_code == 303


def test_a_key_that_reads_submits_nothing(guarded: TestClient, keys: Path):
    key = create_key(keys, "reader", scope="read")
    guarded.post("/login", data={"key": key})
    assert guarded.get("/", headers=BROWSER).status_code == 200
    assert submit(guarded).status_code == 403


def test_a_wrong_key_is_said_to_be_wrong(guarded: TestClient):
    answer = guarded.post("/login", data={"key": "radius_wrong", "next": "/jobs"})
    assert answer.status_code == 401
    assert "This is no valid key." in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "following", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "jobs"]
)
def test_nobody_is_sent_to_another_host(guarded: TestClient, keys: Path, following: str):
    key = create_key(keys, "page")
    assert guarded.post("/login", data={"key": key, "next": following}).headers["location"] == "/"


def test_a_service_without_keys_asks_for_none(settings: Settings):
    with client_of(settings) as client:
        assert "has no keys" in client.get("/login").text
