"""Numbers over many rows, for the service's metrics: each is one statement that reads an index or few rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.rows import chunks
from service.catalog.tables import jobs, segments, training_runs


@dataclass(frozen=True)
class KindCount:
    """Number of the jobs of a kind in a state, and the age of the oldest in seconds."""

    kind: str
    state: str
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
    at, columns = moment(connection), (jobs.c.kind, jobs.c.state)
    query = sa.select(*columns, sa.func.count(), sa.func.min(jobs.c.created_at)).group_by(*columns).order_by(*columns)
    return [
        KindCount(kind, state, count, max(0.0, (at - oldest).total_seconds()))
        for kind, state, count, oldest in connection.execute(query)
    ]


def work_done(connection: sa.Connection, since: datetime) -> list[WorkDone]:
    """The work of the jobs that run, and of those that ended after `since`; of a training its tokens too."""
    recent = sa.union(
        sa.select(jobs.c.id, jobs.c.unit).where(jobs.c.state.in_(("running", "cancelling"))),
        sa.select(jobs.c.id, jobs.c.unit).where(jobs.c.finished_at > since),
    )
    units = {row.id: row.unit for row in connection.execute(recent)}
    done, which = sa.func.sum(segments.c.done), (segments.c.job, segments.c.stage)
    found = []
    for part in chunks(list(units)):
        stages = sa.select(*which, done).where(segments.c.job.in_(part)).group_by(*which)
        found += [WorkDone(row.job, row.stage, units[row.job], int(row[2])) for row in connection.execute(stages)]
        runs = sa.select(training_runs.c.id, training_runs.c.tokens).where(training_runs.c.job.in_(part))
        found += [WorkDone(row.id, "train", "tokens", row.tokens) for row in connection.execute(runs)]
    return found


def database_bytes(connection: sa.Connection) -> int:
    """Size of the database: its file without the journal, or all relations on the server."""
    if connection.dialect.name == "postgresql":
        return connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
    pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one()
    return pages * connection.execute(sa.text("PRAGMA page_size")).scalar_one()
