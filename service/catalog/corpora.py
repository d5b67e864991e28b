"""Rows of registered corpora."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.catalog.ownership import restrict_to_job
from service.catalog.rows import Row, get_row, insert_once, page_rows
from service.catalog.tables import SHARED, corpora, jobs
from service.contracts.base import now
from service.contracts.corpora import BUILTINS, Corpus, CorpusCounts, CorpusSource
from service.contracts.jobs import FINAL_STATES
from service.errors import Conflict, NotFound

_IN_SPECS = (("corpus",), ("data", "corpus"), ("training", "data", "corpus"))  # where specs of jobs name a corpus


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
        row = {"id": name, "name": name, "state": "scanning", "source": source, "created_at": now()}
        insert_once(connection, corpora, row | {"project": SHARED})
    return [corpus_id for corpus_id in scanning(connection) if corpus_id in BUILTINS]


def scanning(connection: sa.Connection) -> list[str]:
    """Ids of the corpora that have not been counted yet."""
    return [row.id for row in connection.execute(sa.select(corpora.c.id).where(corpora.c.state == "scanning"))]


def counts(connection: sa.Connection) -> tuple[int, int]:
    """Number of registered corpora without the built-in ones, and of those that have not been counted yet."""
    own = corpora.c.project != SHARED
    of_state = sa.func.count(sa.case((corpora.c.state == "scanning", 1)))
    registered, pending = connection.execute(sa.select(sa.func.count(), of_state).where(own)).one()
    return registered, pending


def find(connection: sa.Connection, id_or_name: str) -> Corpus:
    """The corpus of that id or name; raises `NotFound`."""
    row = get_row(connection, corpora, id_or_name) or _by_name(connection, id_or_name)
    if row is None:
        raise NotFound("no such corpus", field="corpus")
    return _corpus(row)


def find_for_job(connection: sa.Connection, job_id: str, id_or_name: str) -> Corpus:
    """The corpus that the spec of a job means by an id or a name; raises `NotFound`."""
    restrict_to_job(connection, job_id)
    return find(connection, id_or_name)


def lock_for_reading(connection: sa.Connection, id_or_name: str) -> None:
    """Keep this corpus from being deleted until the transaction ends."""
    connection.execute(_lookup(id_or_name).with_for_update(read=True, key_share=True))


def delete(connection: sa.Connection, id_or_name: str) -> Corpus:
    """Delete a corpus; returns what it was.

    Raises:
        NotFound: no such corpus.
        Conflict: a job that has not ended reads it, or it is built in.
    """
    corpus = find(connection, id_or_name)
    if corpus.source.builtin is not None and corpus.id in BUILTINS:
        raise Conflict("this corpus is built in")
    locked = connection.execute(sa.select(corpora.c.id).where(corpora.c.id == corpus.id).with_for_update()).first()
    if locked is None:
        raise NotFound("no such corpus", field="corpus")
    named = [jobs.c.spec[path].as_string().in_([corpus.id, corpus.name]) for path in _IN_SPECS]
    reading = sa.select(jobs.c.id).where(jobs.c.state.not_in(FINAL_STATES), sa.or_(*named)).limit(1)
    if (job := connection.execute(reading).scalar()) is not None:
        raise Conflict(f"{job} reads this corpus; cancel it first, or wait for its end")
    connection.execute(corpora.delete().where(corpora.c.id == corpus.id))
    return corpus


def uploads(connection: sa.Connection) -> list[str]:
    """Names of the files that were uploaded for corpora."""
    sources = connection.execute(sa.select(corpora.c.source)).scalars()
    return [source["upload"] for source in sources if source.get("upload")]


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


def _lookup(id_or_name: str) -> sa.Select[tuple[str]]:
    return sa.select(corpora.c.id).where((corpora.c.id == id_or_name) | (corpora.c.name == id_or_name))


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
