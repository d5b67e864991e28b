"""GET /healthz and /readyz: alive while the process serves, ready while jobs can be taken."""

# One database: SQLite's own file is damaged; tests/postgres stops a server.

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.catalog.migrate import migrate
from service.settings import Settings
from tests.api.support import client_of, problem_of, readiness_of, submit
from tests.databases.migrated import sqlite_settings


def replace_by_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def lock_away(database: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    database.chmod(0)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a folder": replace_by_folder,
    "not a database": lambda database: database.write_bytes(b"garbage " * 1000),
    "cut off": lambda database: database.write_bytes(database.read_bytes()[:5000]),
    "lost": Path.unlink,
    "its folder lost": lambda database: shutil.rmtree(database.parent),
    "not readable": lock_away,
}


def database(settings: Settings) -> Path:
    return settings.data_dir / "radius.db"


def test_a_service_that_can_take_jobs_is_ready(refusing: TestClient):
    assert refusing.get("/healthz").json() == {"status": "ok"}
    assert readiness_of(refusing).json()["status"] in ("ready", "degraded")


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_service_without_its_database_is_alive_and_not_ready(tmp_path: Path, damage: Callable[[Path], object]):
    settings = sqlite_settings(tmp_path / "data")
    damage(database(settings))
    with client_of(settings) as client:
        assert client.get("/healthz").status_code == 200
        response = readiness_of(client)
        problem_of(response, 503, "unavailable")
        assert int(response.headers["retry-after"]) > 0
        assert str(tmp_path) not in response.text


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_without_its_database_the_service_says_try_again(tmp_path: Path, damage: Callable[[Path], object]):
    settings = sqlite_settings(tmp_path / "data")
    damage(database(settings))
    with client_of(settings) as client:
        for response in (client.get("/v1/jobs"), client.get("/v1/corpora/python-docs"), submit(client)):
            problem_of(response, 503, "unavailable")
            assert response.headers["retry-after"]


def test_a_database_that_was_never_migrated_is_not_ready(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data")
    settings.make_folders()
    with client_of(settings) as client:
        problem_of(readiness_of(client), 503, "unavailable")


def test_a_database_without_the_tables_of_the_job_engine_is_not_ready(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data")
    settings.make_folders()
    migrate(settings.resolved_database_url)
    with client_of(settings) as client:
        assert "radius db upgrade" in problem_of(readiness_of(client), 503, "unavailable")["detail"]
        problem_of(submit(client), 503, "unavailable")


def test_a_service_is_ready_again_when_its_database_is_back(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data")
    aside = settings.data_dir / "aside.db"
    database(settings).rename(aside)
    with client_of(settings) as client:
        assert readiness_of(client).status_code == 503
        database(settings).unlink(missing_ok=True)  # SQLite may have made an empty one
        aside.rename(database(settings))
        assert readiness_of(client).status_code == 200
        assert submit(client).status_code == 202


def test_what_needs_no_database_is_served_without_one(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data")
    replace_by_folder(database(settings))
    with client_of(settings) as client:
        for path in ("/healthz", "/v1/presets", "/v1/models", "/v1/limits", "/v1/theory/radius?n=2&d=2", "/docs"):
            assert client.get(path).status_code == 200, path
