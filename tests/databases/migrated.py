"""Migrated databases, quickly: each is a copy of one that was migrated once."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
from service.settings import Settings
from tests.databases.server import Server, running_server

DATABASES = ("sqlite", "postgresql")


@cache
def _sqlite_template() -> tempfile.TemporaryDirectory[str]:
    """A migrated data directory, made once and removed at the end."""
    folder = tempfile.TemporaryDirectory(prefix="radius-template-")
    atexit.register(folder.cleanup)
    _migrate(Settings(data_dir=Path(folder.name) / "data"))
    return folder


def sqlite_settings(folder: Path, **options: Any) -> Settings:
    """Settings on a fresh, migrated data directory `folder` with SQLite in it."""
    shutil.copytree(Path(_sqlite_template().name) / "data", folder, dirs_exist_ok=True)
    return Settings(data_dir=folder, **{"corpus_scan_wait_s": 0, **options})


class Databases:
    """Fresh databases of either kind; the PostgreSQL server starts when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()

    @contextmanager
    def settings(self, kind: str, folder: Path, **options: Any) -> Iterator[Settings]:
        """Settings on a migrated database of that kind and the data directory `folder`, for as long as the block."""
        assert kind in DATABASES, kind
        if kind == "sqlite":
            yield sqlite_settings(folder, **options)
            return
        with self._postgresql(self._template, folder, **options) as made:
            yield made

    @contextmanager
    def empty(self, kind: str, folder: Path) -> Iterator[Settings]:
        """The same on a database without any table."""
        assert kind in DATABASES, kind
        if kind == "sqlite":
            made = Settings(data_dir=folder)
            made.make_folders()
            yield made
            return
        with self._postgresql("template1", folder) as made:
            yield made

    def close(self) -> None:
        self._open.close()

    @contextmanager
    def _postgresql(self, template: str, folder: Path, **options: Any) -> Iterator[Settings]:
        name = self._server.make_database(template)
        made = Settings(data_dir=folder, database_url=self._server.url(name), **{"corpus_scan_wait_s": 0, **options})
        made.make_folders()
        try:
            yield made
        finally:
            self._server.drop(name)

    @cached_property
    def _server(self) -> Server:
        server = self._open.enter_context(running_server())
        server.hasten()
        return server

    @cached_property
    def _template(self) -> str:
        name = self._server.make_database()
        _migrate(Settings(data_dir=self._folder / "template", database_url=self._server.url(name)))
        return name


def _migrate(settings: Settings) -> None:
    settings.make_folders()
    migrate(settings.resolved_database_url)
    migrate_engine(settings.resolved_database_url)
