"""One lock per worker name, held while the worker is alive: a file lock beside SQLite, an advisory lock on PostgreSQL.

An advisory lock ends with its session, when the server or the connection ends; `WorkerLock.keep` then takes it again.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service.catalog.engine import Catalog, database_errors


@contextmanager
def worker_lock(catalog: Catalog, folder: Path, name: str) -> Iterator[bool]:
    """Yield whether the lock of that name could be taken; it is held until the block or the process ends."""
    lock = WorkerLock(catalog, folder, name)
    try:
        yield lock.take()
    finally:
        lock.release()


class WorkerLock:
    """The lock of one name, held by this process from `take` to `release`."""

    def __init__(self, catalog: Catalog, folder: Path, name: str) -> None:
        on_server = catalog.engine.dialect.name == "postgresql"
        self._lock = _SessionLock(catalog.engine, name) if on_server else _FileLock(folder / f"{name}.lock")

    def take(self) -> bool:
        """Take the lock; False if another process holds it."""
        return self._lock.take()

    def keep(self) -> bool:
        """Whether the lock is still held or could be taken again; raises `Unavailable` while the database is away."""
        return self._lock.is_held() or self._lock.take()

    def release(self) -> None:
        """Release the lock; nothing if it is not held."""
        self._lock.release()


class _FileLock:
    """A lock of the operating system, which only its release or the end of the process frees."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, None

    def take(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def is_held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _SessionLock:
    """An advisory lock on a connection of its own.

    Where the network fails, this side may give its session up before the server does, which keeps the lock for it
    meanwhile. `take` is refused then, and ends that session.
    """

    _TAKE = sa.text("SELECT pg_try_advisory_lock(:key)")
    _FREE = sa.text("SELECT pg_advisory_unlock(:key)")
    _HELD = sa.text(  # a key is shown in two halves; 1 says that it is one number
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
        "AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = :key)"
    )
    _SESSION = sa.text("SELECT pid, backend_start AS began FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    _END = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :began")

    def __init__(self, engine: sa.Engine, name: str) -> None:
        digest = hashlib.sha256(f"radius worker {name}".encode()).digest()
        self._key = {"key": int.from_bytes(digest[:8], "big", signed=True)}
        self._engine, self._connection = engine, None
        self._session: dict[str, Any] | None = None  # that has the lock, or had it when it was given up

    def take(self) -> bool:
        self.release()
        with database_errors():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if connection.scalar(self._TAKE, self._key):
                self._connection = connection
                self._session = dict(connection.execute(self._SESSION).mappings().one())
                return True
            if self._session is not None:
                connection.execute(self._END, self._session)  # its lock is free a moment later
            connection.close()
        return False

    def is_held(self) -> bool:
        try:
            return self._connection is not None and bool(self._connection.scalar(self._HELD, self._key))
        except DBAPIError:
            return False  # the session has gone

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.scalar(self._FREE, self._key)  # the end of the session would too, but some time later
            self._session = None
        except SQLAlchemyError:  # the session has gone, now or at an earlier statement
            connection.invalidate()
        finally:
            with suppress(DBAPIError):
                connection.close()
