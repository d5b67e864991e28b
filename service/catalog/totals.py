"""Numbers over many rows, for the service's metrics: each is one statement that reads an index or few rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.rows import chunks
from service.catalog.tables import activations, job_results, jobs, segments, training_runs

_SEARCHES = ("radius", "search", "count")  # stages whose rows are compared with all rows of a set


@dataclass(frozen=True)
class KindCount:
    """Number of the jobs of a kind in a state."""

    kind: str
    state: str
    count: int


@dataclass(frozen=True)
class Queue:
    """The queued jobs of a kind in a project, and the age of the oldest in seconds."""

    kind: str
    project: str
    count: int
    oldest_s: float


@dataclass(frozen=True)
class WorkDone:
    """Work done so far in one stage of one job, in the job's unit."""

    job: str
    stage: str
    unit: str
    done: int


def job_counts(connection: sa.Connection) -> list[KindCount]:
    """The jobs by kind and state."""
    columns = jobs.c.kind, jobs.c.state
    query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns)
    return [KindCount(kind, state, count) for kind, state, count in connection.execute(query)]


def queues(connection: sa.Connection) -> list[Queue]:
    """The queued jobs by kind and project; a limit of the service bounds their number."""
    at, columns = moment(connection), (jobs.c.kind, jobs.c.project)
    counts = sa.select(*columns, sa.func.count(), sa.func.min(jobs.c.created_at)).where(jobs.c.state == "queued")
    return [
        Queue(kind, project, count, max(0.0, (at - oldest).total_seconds()))
        for kind, project, count, oldest in connection.execute(counts.group_by(*columns).order_by(*columns))
    ]


def work_done(connection: sa.Connection, since: datetime) -> list[WorkDone]:
    """The work of the jobs that run, and of those that ended after `since`: in each job's unit, in tokens, in pairs."""
    columns = jobs.c.id, jobs.c.unit
    recent = sa.union(
        sa.select(*columns).where(jobs.c.state.in_(("running", "cancelling"))),
        sa.select(*columns).where(jobs.c.finished_at > since),
    )
    units = {row.id: row.unit for row in connection.execute(recent)}
    found = []
    for part in chunks(list(units)):
        found += _stages(connection, part, units)
        runs = sa.select(training_runs.c.id, training_runs.c.tokens).where(training_runs.c.job.in_(part))
        found += [WorkDone(row.id, "train", "tokens", row.tokens) for row in connection.execute(runs)]
    return found


def _stages(connection: sa.Connection, job_ids: list[str], units: dict[str, str]) -> Iterator[WorkDone]:
    """The stages of these jobs; those of a search a second time, in pairs: rows of queries times rows searched."""
    done, which = sa.func.sum(segments.c.done), (segments.c.job, segments.c.stage)
    stages = connection.execute(sa.select(*which, done).where(segments.c.job.in_(job_ids)).group_by(*which)).all()
    searched = _searched(connection, [row.job for row in stages if row.stage in _SEARCHES])
    for job, stage, rows in stages:
        yield WorkDone(job, stage, units[job], int(rows))
        if stage in _SEARCHES and job in searched:
            yield WorkDone(job, stage, "pairs", int(rows) * searched[job])


def _searched(connection: sa.Connection, job_ids: list[str]) -> dict[str, int]:
    """Rows of the set that each job searches: the one that its spec names, or those that it has made, equally large."""
    specs = connection.execute(sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.id.in_(job_ids)))
    named = {job: spec.get("reference") or spec.get("activations") for job, spec in specs}
    sizes = sa.select(activations.c.id, activations.c.n).where(activations.c.id.in_(filter(None, named.values())))
    rows = {row.id: row.n for row in connection.execute(sizes)}
    made = sa.select(job_results.c.job, sa.func.max(activations.c.n)).join(
        activations, activations.c.id == job_results.c.product
    )
    of_results = made.where(job_results.c.job.in_(job_ids)).group_by(job_results.c.job)
    found = {row.job: row[1] for row in connection.execute(of_results)}
    return found | {job: rows[name] for job, name in named.items() if name in rows}


def database_bytes(connection: sa.Connection) -> int:
    """Size of the database: its file without the journal, or all relations on the server."""
    if connection.dialect.name == "postgresql":
        return connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
    pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
    return pages * connection.execute(sa.text("PRAGMA page_size")).scalar_one()
