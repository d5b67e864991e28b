"""A server that may be stopped: nobody else's, and as careful with what it acknowledged as servers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
from service.settings import Settings
from tests.databases.server import Server, running_server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, server: Server) -> Settings:
    """Fresh settings on a fresh, migrated database of that server."""
    url = server.url(server.make_database())
    made = Settings(data_dir=tmp_path / "data", corpus_scan_wait_s=0, database_url=url)
    made.make_folders()
    migrate(url)
    migrate_engine(url)
    return made
