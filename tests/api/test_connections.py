"""Connections to SQLite are kept, and none goes on with a file that is not there any more."""

# One database: SQLite's own file is replaced.

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from service.catalog.engine import Catalog
from service.catalog.tables import corpora
from service.errors import Unavailable
from tests.databases.migrated import sqlite_settings

NAMES = sa.select(corpora.c.id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    url = sqlite_settings(tmp_path / "data").resolved_database_url
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def opened(path: Path) -> Iterator[Catalog]:
    with closing(Catalog(f"sqlite:///{path}")) as made:
        yield made


def test_a_connection_is_opened_once(opened: Catalog):
    count = []
    event.listen(opened.engine, "connect", lambda *_: count.append(1))
    for _ in range(10):
        with opened.read() as connection:
            connection.execute(NAMES).all()
        with opened.begin() as connection:
            connection.execute(corpora.delete().where(corpora.c.id == "nothing"))
    assert len(count) == 1


def test_a_file_that_was_replaced_is_opened_anew(path: Path, opened: Catalog):
    copy = path.with_name("copy")
    with opened.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"VACUUM INTO '{copy}'")
    with opened.begin() as connection:
        connection.execute(corpora.delete())
    with opened.read() as connection:
        assert connection.execute(NAMES).all() == []
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    copy.replace(path)
    with opened.read() as connection:
        assert connection.execute(NAMES).all() != []


def test_a_file_that_is_gone_is_unavailable(path: Path, opened: Catalog):
    opened.check()
    path.unlink()
    with pytest.raises(Unavailable):
        opened.check()


def test_after_reading_a_connection_writes_as_before(opened: Catalog):
    """Reading is without a transaction; the next to have the connection gets one that can be taken back."""
    with opened.read() as connection:
        before = connection.execute(NAMES).all()
    with opened.engine.begin() as connection:
        connection.execute(corpora.delete())
        connection.rollback()
    with opened.read() as connection:
        assert connection.execute(NAMES).all() == before


def test_more_threads_than_kept_connections_need_not_wait(opened: Catalog):
    together = threading.Barrier(40)

    def read() -> int:
        with opened.read() as connection:
            together.wait(timeout=20)
            return len(connection.execute(NAMES).all())

    with ThreadPoolExecutor(40) as pool:
        found = [pool.submit(read) for _ in range(40)]
        assert len({future.result(timeout=30) for future in found}) == 1
