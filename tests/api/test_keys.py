"""API keys: kept as hashes, asked for on every route but health and documentation, taken in and away at once."""

# One database: keys are in a file.

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from starlette.testclient import TestClient

from service.binding import bind
from service.errors import Conflict, InvalidInput, NotFound
from service.keys import create_key, read_keys, remove_key
from service.settings import Settings
from tests.api.support import client_of, problem_of
from tests.databases.migrated import sqlite_settings

OPEN = {"/healthz", "/readyz"}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "api-keys"


@pytest.fixture
def guarded(tmp_path: Path, keys_file: Path) -> Iterator[TestClient]:
    with client_of(sqlite_settings(tmp_path / "data", api_keys_file=keys_file)) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_kept_as_a_hash_only(keys_file: Path):
    key = create_key(keys_file, "lab")
    assert len(key) > 40
    assert key not in keys_file.read_text()
    assert [stored.name for stored in read_keys(keys_file)] == ["lab"]
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        create_key(keys_file, "lab")


def test_every_route_but_health_and_documentation_needs_a_key(guarded: TestClient, keys_file: Path):
    assert guarded.get("/v1/jobs").status_code == 401  # a file is named, and nobody has a key yet
    create_key(keys_file, "lab")
    paths = guarded.get("/openapi.json").json()["paths"]
    assert len(paths) > 30
    for path, operations in paths.items():
        for method in operations:
            answer = guarded.request(method.upper(), path)
            assert (answer.status_code == 401) is (path not in OPEN), (method, path)
    assert guarded.get("/docs").status_code == 200
    assert guarded.get("/no/such/route").status_code == 401


def test_a_known_key_is_let_in(guarded: TestClient, keys_file: Path):
    first, second = create_key(keys_file, "first"), create_key(keys_file, "second")
    for key in (first, second):
        assert guarded.get("/v1/jobs", headers=bearer(key)).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer radius_wrong", "Basic bGFi", "Bearer clé", "Bearer " + "a" * 10_000, "radius_"],
    ids=["empty", "scheme only", "no key", "wrong", "basic", "not ASCII", "10 kB", "no scheme"],
)
def test_anything_else_is_refused(guarded: TestClient, keys_file: Path, header: str):
    create_key(keys_file, "lab")
    answer = guarded.get("/v1/jobs", headers=[(b"Authorization", header.encode())])  # pyright: ignore[reportArgumentType]
    assert problem_of(answer, 401)["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_headers_are_refused(guarded: TestClient, keys_file: Path):
    key = create_key(keys_file, "lab")
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer other")]
    assert guarded.get("/v1/jobs", headers=headers).status_code == 401


def test_a_revoked_key_is_refused_and_a_lost_file_lets_nobody_in(guarded: TestClient, keys_file: Path):
    kept, revoked = create_key(keys_file, "kept"), create_key(keys_file, "revoked")
    assert guarded.get("/v1/jobs", headers=bearer(revoked)).status_code == 200
    remove_key(keys_file, "revoked")
    assert guarded.get("/v1/jobs", headers=bearer(revoked)).status_code == 401
    assert guarded.get("/v1/jobs", headers=bearer(kept)).status_code == 200
    with pytest.raises(NotFound):
        remove_key(keys_file, "revoked")
    keys_file.unlink()
    assert guarded.get("/v1/jobs", headers=bearer(kept)).status_code == 401
    assert guarded.get("/v1/jobs").status_code == 401


def test_without_a_file_nobody_needs_a_key_and_with_a_damaged_one_nobody_is_let_in(tmp_path: Path, keys_file: Path):
    with client_of(sqlite_settings(tmp_path / "open")) as client:
        assert client.get("/v1/jobs").status_code == 200
    key = create_key(keys_file, "lab")
    keys_file.write_text("damaged")
    with client_of(sqlite_settings(tmp_path / "data", api_keys_file=keys_file)) as client:
        for headers in ({}, bearer(key)):
            assert client.get("/v1/jobs", headers=headers).status_code == 401


def test_a_file_that_is_none_of_ours_names_its_line(keys_file: Path):
    create_key(keys_file, "lab")
    with keys_file.open("a") as file:
        file.write(json.dumps({"key": "plain"}) + "\n")
    with pytest.raises(InvalidInput, match="line 2"):
        read_keys(keys_file)


def test_other_addresses_than_loopback_need_a_key(keys_file: Path):
    for file in (None, keys_file):
        with pytest.raises(InvalidInput, match="loopback"):
            bind(Settings(host="0.0.0.0", port=0, api_keys_file=file))
    create_key(keys_file, "lab")
    bind(Settings(host="0.0.0.0", port=0, api_keys_file=keys_file)).close()
    bind(Settings(host="127.0.0.1", port=0)).close()


def test_other_host_names_are_a_setting(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data", allowed_hosts="radius.example, box")
    with client_of(settings) as client:
        assert client.get("/healthz", headers={"host": "box:8000"}).status_code == 200
        assert client.get("/healthz", headers={"host": "other"}).status_code == 400


def test_the_password_of_the_database_comes_from_a_file(tmp_path: Path):
    (tmp_path / "password").write_text("p@ss/word\n")
    settings = Settings(
        database_url="postgresql://radius@db/radius", database_password_file=tmp_path / "password", data_dir=tmp_path
    )
    url = settings.resolved_database_url.partition("?")[0]
    session = make_url(settings.resolved_database_url).query
    assert url == "postgresql://radius:p%40ss%2Fword@db/radius"
    assert session["options"] == "-c idle_in_transaction_session_timeout=15000"
    assert session["connect_timeout"] == "5"
    assert "p@ss" not in settings.model_dump_json()
    for url in (None, "postgresql://radius:other@db/radius"):
        bad = Settings(database_url=url, database_password_file=tmp_path / "password", data_dir=tmp_path)
        with pytest.raises(ValueError, match="DATABASE_PASSWORD_FILE"):
            _ = bad.resolved_database_url
