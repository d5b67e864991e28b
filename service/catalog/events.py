"""The events of jobs, in order; rows are only added."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from service.catalog.ownership import OF_ALL
from service.catalog.tables import events, jobs
from service.contracts.base import now
from service.contracts.jobs import FINAL_STATES, JobEvent


def record(connection: sa.Connection, job_id: str, kind: str, data: dict[str, Any] | None = None) -> None:
    """Add an event in the transaction of the change, which has updated or locked the job's row before.

    So the events of a job become visible in the order of their ids: a reader of one has not missed an earlier one.
    """
    connection.execute(events.insert().values(job=job_id, type=kind, data=data or {}, created_at=now()))


def page(connection: sa.Connection, job_id: str, limit: int, after: int) -> tuple[list[JobEvent], str | None]:
    """Up to `limit` events of a job after the one of id `after`, oldest first, and the cursor of the next page."""
    query = sa.select(events).where(events.c.job == job_id, events.c.id > after).order_by(events.c.id).limit(limit + 1)
    rows = [JobEvent(**row) for row in connection.execute(query).mappings()]
    return rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None


def has_ended(connection: sa.Connection, job_id: str, known: int) -> bool:
    """Whether no event can follow the one of id `known`: the job is final, or deleted, and has no later event."""
    found = newest_of(connection, [job_id]).get(job_id)
    return found is None or (found[0] in FINAL_STATES and found[1] <= known)


def newest_of(connection: sa.Connection, job_ids: list[str]) -> dict[str, tuple[str, int]]:
    """State and id of the newest event of each of those jobs that exist, of any project, as of one moment."""
    newest = sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0)).where(events.c.job == jobs.c.id)
    query = sa.select(jobs.c.id, jobs.c.state, newest.scalar_subquery()).where(jobs.c.id.in_(job_ids))
    return {row[0]: (row[1], row[2]) for row in connection.execute(query.execution_options(**OF_ALL))}
