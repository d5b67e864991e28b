"""The connection to the metadata database, SQLite or PostgreSQL, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, ProgrammingError

from service.errors import Unavailable

Connection = sa.Connection


class Catalog:
    """The metadata database. Build one per process and hand it down."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A writing transaction: committed at the end, rolled back on an error."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except (IntegrityError, DataError, ProgrammingError):
            raise  # ours, not the database's
        except DatabaseError as error:
            raise Unavailable("the metadata database cannot be reached") from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading; every statement sees the newest committed state."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection
        except (IntegrityError, DataError, ProgrammingError):
            raise  # ours, not the database's
        except DatabaseError as error:
            raise Unavailable("the metadata database cannot be reached") from error

    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and has our tables."""
        with self.read() as connection:
            connection.execute(sa.text("SELECT count(*) FROM jobs WHERE id = ''"))

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> sa.Engine:
    """An engine for `url`; on SQLite in WAL mode, with writing transactions that take the lock at once."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    # Opening a file is cheap, and a pooled connection would go on with a file that has been replaced.
    engine = sa.create_engine(parsed, connect_args={"timeout": 30}, poolclass=sa.NullPool)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails under WAL when another wrote in between.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
