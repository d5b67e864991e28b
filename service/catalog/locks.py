"""One lock per worker name: who holds it lives. A file lock beside SQLite, an advisory lock of PostgreSQL's session."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from service.catalog.engine import Catalog


@contextmanager
def worker_lock(catalog: Catalog, folder: Path, name: str) -> Iterator[bool]:
    """Whether the lock of that name could be taken; it is held until the end of the block, or of the process."""
    if catalog.engine.dialect.name == "postgresql":
        with _advisory_lock(catalog.engine, name) as held:
            yield held
    else:
        with _file_lock(folder / f"{name}.lock") as held:
            yield held


@contextmanager
def _file_lock(path: Path) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def _advisory_lock(engine: sa.Engine, name: str) -> Iterator[bool]:
    key = int.from_bytes(hashlib.sha256(f"radius worker {name}".encode()).digest()[:8], "big", signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        held = bool(connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}))
        try:
            yield held
        finally:
            if held:
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key})
