"""Applications that several tests share, because they only read them or are refused by them; on both databases."""

# One database: `stateless` serves routes that use none.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.products import Published, publish_report
from tests.api.projects import Projects, two_projects
from tests.api.serving import Server, free_port, serve
from tests.api.support import client_of
from tests.databases.migrated import DATABASES, Databases, sqlite_settings


class Shared:
    """The applications of one kind of database, made when they are first asked for and closed at the end."""

    def __init__(self, kind: str, databases: Databases, folder: Path, stack: ExitStack) -> None:
        self._kind, self._databases, self._folder, self._stack = kind, databases, folder, stack

    @cached_property
    def refusing_settings(self) -> Settings:
        return self._settings("refusing")

    @cached_property
    def refusing(self) -> TestClient:
        return self._stack.enter_context(client_of(self.refusing_settings))

    @cached_property
    def reading_settings(self) -> Settings:
        return self._settings("reading")

    @cached_property
    def published(self) -> Published:
        return publish_report(self.reading_settings, drawn=True)

    @cached_property
    def reading(self) -> TestClient:
        _ = self.published  # made before the application opens the database
        return self._stack.enter_context(client_of(self.reading_settings))

    @cached_property
    def server(self) -> Server:
        settings = self._settings("serving")
        return self._stack.enter_context(serve(settings, publish_report(settings)))

    @cached_property
    def projects(self) -> Projects:
        keys = self._folder / f"keys-{self._kind}"
        return self._stack.enter_context(two_projects(self._settings("projects", api_keys_file=keys), keys))

    def _settings(self, name: str, **options: Any) -> Settings:
        made = self._databases.settings(self._kind, self._folder / f"{name}-{self._kind}" / "data", **options)
        return self._stack.enter_context(made)


@pytest.fixture(scope="session")
def shared_by_kind(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shared]]:
    folder = tmp_path_factory.mktemp("shared")
    with ExitStack() as stack:
        yield {kind: Shared(kind, databases, folder, stack) for kind in DATABASES}


@pytest.fixture(scope="module", params=DATABASES)
def shared(request: pytest.FixtureRequest, shared_by_kind: dict[str, Shared]) -> Shared:
    """What is shared on each kind of database in turn."""
    return shared_by_kind[request.param]


@pytest.fixture(scope="module")
def projects(shared: Shared) -> Projects:
    """A service with keys, where one project has an object of every kind and another has none of them."""
    return shared.projects


@pytest.fixture(scope="module")
def refusing_settings(shared: Shared) -> Settings:
    """The settings of `refusing`."""
    return shared.refusing_settings


@pytest.fixture(scope="module")
def refusing(shared: Shared) -> TestClient:
    """An application that hostile requests share; what is in it, tests compare before and after."""
    return shared.refusing


@pytest.fixture(scope="module")
def reading_settings(shared: Shared) -> Settings:
    """The settings of `reading`."""
    return shared.reading_settings


@pytest.fixture(scope="module")
def published(shared: Shared) -> Published:
    """One activation set with texts, and its radius report; read only."""
    return shared.published


@pytest.fixture(scope="module")
def reading(shared: Shared) -> TestClient:
    """An application that has `published`; tests only read it."""
    return shared.reading


@pytest.fixture(scope="module")
def server(shared: Shared) -> Server:
    """A server on loopback with one finished job."""
    return shared.server


@pytest.fixture(scope="session")
def stateless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An application for what has nothing to do with a database."""
    with client_of(sqlite_settings(tmp_path_factory.mktemp("stateless") / "data")) as client:
        yield client


@pytest.fixture
def unused_url() -> str:
    """Where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
