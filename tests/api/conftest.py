"""Applications that several tests share, because they only read them or are refused by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.products import Published, publish_report
from tests.api.serving import Server, free_port, serve
from tests.api.support import client_of, migrated_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Fresh settings on a fresh data directory, copied from a migrated one; quicker than the fixture of that name."""
    return migrated_settings(tmp_path / "data")


@pytest.fixture(scope="session")
def refusing_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of `refusing`."""
    return migrated_settings(tmp_path_factory.mktemp("refusing") / "data")


@pytest.fixture(scope="session")
def refusing(refusing_settings: Settings) -> Iterator[TestClient]:
    """An application that hostile requests share; what is in it, tests compare before and after."""
    with client_of(refusing_settings) as client:
        yield client


@pytest.fixture(scope="session")
def reading_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of `reading`."""
    return migrated_settings(tmp_path_factory.mktemp("reading"))


@pytest.fixture(scope="session")
def published(reading_settings: Settings) -> Published:
    """One activation set with texts, and its radius report; read only."""
    return publish_report(reading_settings)


@pytest.fixture(scope="session")
def reading(reading_settings: Settings, published: Published) -> Iterator[TestClient]:
    """An application that has `published`; tests only read it."""
    with client_of(reading_settings) as client:
        yield client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on loopback with one finished job."""
    settings = migrated_settings(tmp_path_factory.mktemp("serving"))
    with serve(settings, publish_report(settings)) as running:
        yield running


@pytest.fixture
def unused_url() -> str:
    """Where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
