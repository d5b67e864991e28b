"""The connection to the metadata database, SQLite or PostgreSQL, and its transactions."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DisconnectionError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    TimeoutError,
)

from service.catalog import ownership
from service.errors import Unavailable

Connection = sa.Connection


logger = logging.getLogger(__name__)
_BUSY_S = 30.0  # longest wait for SQLite's writer
_NO_TABLES = ("42P01", "42703", "3F000")  # SQLSTATE: undefined table, undefined column, no such schema
NOT_MIGRATED = "the metadata database lacks this version's tables; `radius db upgrade` makes them"


class Catalog:
    """The metadata database; one per process.

    `answer_s` limits the wait for an answer of PostgreSQL and for a free connection.
    """

    def __init__(self, url: str, answer_s: float | None = None) -> None:
        self.engine = make_engine(url, answer_s)
        self._writing = threading.Lock() if self.engine.dialect.name == "sqlite" else None

    def of(self, project: str) -> Catalog:
        """The same database, of which every statement uses the rows of one project only."""
        restricted = copy(self)
        restricted.engine = self.engine.execution_options(**ownership.options_of(project))
        return restricted

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A writing transaction: committed at the end, rolled back on an error."""
        with database_errors(), self._turn(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let the writers of this process follow one another: SQLite has one, and the others retry at intervals."""
        if self._writing is None:
            yield
            return
        if not self._writing.acquire(timeout=_BUSY_S):
            raise Unavailable("the metadata database is busy")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading; every statement sees the newest committed state."""
        with database_errors(), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def check(self) -> None:
        """Raise `Unavailable` unless the database answers and has our tables."""
        with self.read() as connection:
            connection.execute(sa.text("SELECT count(*) FROM jobs WHERE id = ''"))

    def close(self) -> None:
        self.engine.dispose()


def on_statement(engine: sa.Engine, observe: Callable[[float], None]) -> None:
    """Call `observe` with the seconds of each statement of an engine."""

    def begin(*arguments: Any) -> None:
        arguments[4]._began = time.perf_counter()  # the statement's execution context

    def end(*arguments: Any) -> None:
        observe(time.perf_counter() - arguments[4]._began)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn a failure of the database into `Unavailable` and log its message; errors of our statements are raised."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except (DatabaseError, InterfaceError, TimeoutError) as error:
        cause = getattr(error, "orig", None) or error  # the driver's message, without our statement and its values
        lacking = getattr(cause, "sqlstate", None) in _NO_TABLES or str(cause).startswith("no such ")
        if not lacking and (isinstance(error, ProgrammingError) or _is_wrong_statement(cause)):
            raise
        logger.warning("the metadata database: %s", str(cause).strip())
        raise Unavailable(NOT_MIGRATED if lacking else "the metadata database cannot be reached") from error


def _is_wrong_statement(cause: BaseException) -> bool:
    """Whether an operational error is of our statement, such as one with too many variables."""
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return "number of parameters must be" in str(cause)


def make_engine(url: str, answer_s: float | None = None) -> sa.Engine:
    """An engine for `url`; on SQLite in WAL mode, with writing transactions that take the lock at once."""
    parsed = sa.make_url(url)
    is_server = parsed.get_backend_name() == "postgresql"
    engine = _postgresql(parsed.set(drivername="postgresql+psycopg"), answer_s) if is_server else _sqlite(parsed)
    ownership.install(engine)
    return engine


def _sqlite(url: sa.URL) -> sa.Engine:
    """Pool connections, as opening one costs ten small statements, and drop those to a file that was replaced."""
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S}, max_overflow=-1)

    def remember(_dialect: object, record: Any, _arguments: object, _parameters: object) -> None:
        record.info["file"] = _identity(url.database)

    def configure(connection: Any, record: Any) -> None:
        _configure_sqlite(connection)
        record.info["file"] = record.info["file"] or _identity(url.database)  # where there was none before

    def recognise(connection: Any, record: Any, _proxy: object) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves
        if record.info["file"] != _identity(url.database):
            raise DisconnectionError("the file has been replaced")  # the pool opens the new one

    event.listen(engine, "do_connect", remember)
    event.listen(engine, "connect", configure)
    event.listen(engine, "checkout", recognise)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _postgresql(url: sa.URL, answer_s: float | None) -> sa.Engine:
    if answer_s is None:
        return sa.create_engine(url, pool_pre_ping=True)
    from service.catalog import deadline  # here, so that a service on SQLite does not load the driver

    engine = sa.create_engine(url, pool_pre_ping=True, pool_timeout=answer_s)

    def connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> deadline.BoundedConnection:
        return deadline.connect(answer_s, *arguments, **parameters)

    event.listen(engine, "do_connect", connect)
    return engine


def _identity(path: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _configure_sqlite(connection: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails under WAL when another wrote in between.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
