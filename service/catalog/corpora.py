"""Rows of registered corpora."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.catalog.rows import Row, get_row, insert_once, page_rows
from service.catalog.tables import corpora
from service.contracts.base import now
from service.contracts.corpora import BUILTINS, Corpus, CorpusCounts, CorpusSource
from service.errors import Conflict, NotFound


def register(connection: sa.Connection, corpus_id: str, name: str, source: CorpusSource, *, state: str) -> None:
    """Add a corpus; raises `Conflict` when the name is taken."""
    taken = _by_name(connection, name) or (get_row(connection, corpora, name) if name != corpus_id else None)
    if taken is not None:
        raise _taken()
    row = {"id": corpus_id, "name": name, "state": state, "source": source.model_dump(exclude_defaults=True)}
    try:
        connection.execute(corpora.insert().values(**row, created_at=now()))
    except IntegrityError as error:  # another process has just registered it
        raise _taken() from error


def _taken() -> Conflict:
    return Conflict("a corpus of that name is registered already", field="name")


def register_builtins(connection: sa.Connection) -> list[str]:
    """Add the built-in corpora that are missing; returns those that were never counted."""
    for name in BUILTINS:
        source = CorpusSource(builtin="python-docs").model_dump(exclude_defaults=True)
        insert_once(
            connection, corpora, {"id": name, "name": name, "state": "scanning", "source": source, "created_at": now()}
        )
    return [corpus_id for corpus_id in scanning(connection) if corpus_id in BUILTINS]


def scanning(connection: sa.Connection) -> list[str]:
    """Ids of the corpora that have not been counted yet."""
    return [row.id for row in connection.execute(sa.select(corpora.c.id).where(corpora.c.state == "scanning"))]


def find(connection: sa.Connection, id_or_name: str) -> Corpus:
    """The corpus of that id or name; raises `NotFound`."""
    row = get_row(connection, corpora, id_or_name) or _by_name(connection, id_or_name)
    if row is None:
        raise NotFound("no such corpus", field="corpus")
    return _corpus(row)


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[Corpus], str | None]:
    """One page of corpora, newest first."""
    rows, following = page_rows(connection, corpora, limit, after)
    return [_corpus(row) for row in rows], following


def record_counts(connection: sa.Connection, corpus_id: str, counts: CorpusCounts) -> None:
    """scanning → ready."""
    _update(connection, corpus_id, state="ready", counts=counts.model_dump(), error=None)


def record_failure(connection: sa.Connection, corpus_id: str, error: dict[str, str]) -> None:
    """scanning → failed."""
    _update(connection, corpus_id, state="failed", error=error)


def _update(connection: sa.Connection, corpus_id: str, **values: Any) -> None:
    connection.execute(corpora.update().where(corpora.c.id == corpus_id).values(**values))


def _by_name(connection: sa.Connection, name: str) -> Row | None:
    found = connection.execute(sa.select(corpora).where(corpora.c.name == name)).mappings().first()
    return None if found is None else dict(found)


def _corpus(row: Row) -> Corpus:
    return Corpus(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        source=CorpusSource(**row["source"]),
        error=row["error"],
        created_at=row["created_at"],
        **(row["counts"] or {}),
    )
