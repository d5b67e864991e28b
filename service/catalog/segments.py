"""Segments of jobs: the worker that owns each, its progress, and whether that worker may still write.

Each new owner raises the segment's `attempt`, a fencing token: a worker that was frozen and replaced holds an older
one, and its writes are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.rows import insert_once
from service.catalog.tables import jobs, segments
from service.errors import Cancelled, PoisonSegment, Superseded

MOST_DEATHS = 3


@dataclass(frozen=True)
class Stage:
    """The segments of one stage of a job, added up.

    Args:
        done: work done, in the job's unit.
        updated_at: the newest progress write.
    """

    name: str
    done: int
    updated_at: datetime


def claim(connection: sa.Connection, *, job_id: str, name: str, stage: str, worker: str) -> int:
    """Become the owner of a segment; returns the attempt, which every later call must give.

    Raises:
        Cancelled: the job is no longer running.
        PoisonSegment: three owners in a row died without any progress.
    """
    _check_running(connection, job_id)
    here, at = _here(job_id, name), moment(connection)
    first = {"job": job_id, "name": name, "stage": stage, "done": 0, "worker": worker, "attempt": 1, "running": True}
    if insert_once(connection, segments, first | {"started_at": at, "updated_at": at}):
        return 1
    row = connection.execute(sa.select(segments).where(here).with_for_update()).mappings().one()
    deaths = 0
    if row["running"]:  # the owner before neither finished nor released it
        deaths = 1 if row["done"] > row["done_before"] else row["deaths"] + 1
    values = {"worker": worker, "attempt": row["attempt"] + 1, "running": deaths < MOST_DEATHS, "deaths": deaths}
    connection.execute(segments.update().where(here).values(**values, done_before=row["done"], updated_at=at))
    if deaths >= MOST_DEATHS:
        connection.commit()
        raise PoisonSegment(f"segment {name} killed its worker {deaths} times without any progress in between")
    return row["attempt"] + 1


def check(connection: sa.Connection, job_id: str, name: str, attempt: int) -> None:
    """Raise unless the owner with this `attempt` may still write.

    The row stays locked until the transaction ends: a next owner sees what is written in it.

    Raises:
        Cancelled: the job is no longer running.
        Superseded: another worker owns the segment.
    """
    _check_running(connection, job_id)
    held = connection.execute(sa.select(segments.c.attempt).where(_here(job_id, name)).with_for_update()).scalar()
    if held != attempt:
        raise Superseded(f"segment {name} has another owner")


def tick(connection: sa.Connection, job_id: str, name: str, attempt: int, *, done: int) -> None:
    """Record the progress of a segment; raises as `check` does."""
    check(connection, job_id, name, attempt)
    most = sa.case((segments.c.done > done, segments.c.done), else_=done)  # a restarted segment catches up first
    connection.execute(segments.update().where(_here(job_id, name)).values(done=most, updated_at=moment(connection)))


def release(connection: sa.Connection, *, job_id: str, name: str, attempt: int) -> None:
    """Give up a segment that has finished, failed or was drained; nothing if another worker owns it."""
    here = _here(job_id, name) & (segments.c.attempt == attempt)
    connection.execute(segments.update().where(here).values(running=False, updated_at=moment(connection)))


def release_all(connection: sa.Connection, worker: str) -> None:
    """Release the segments of a worker that is being stopped, so that the stop does not count as a death."""
    mine = (segments.c.worker == worker) & segments.c.running
    connection.execute(segments.update().where(mine).values(running=False, updated_at=moment(connection)))


def running(connection: sa.Connection, job_id: str) -> list[str]:
    """Workers that run a segment of the job."""
    query = sa.select(segments.c.worker).where(segments.c.job == job_id, segments.c.running).distinct()
    return list(connection.execute(query).scalars())


def stages(connection: sa.Connection, job_ids: list[str]) -> dict[str, list[Stage]]:
    """The progress of each stage of these jobs; a job without segments is left out."""
    done, updated_at = sa.func.sum(segments.c.done), sa.func.max(segments.c.updated_at)
    query = sa.select(segments.c.job, segments.c.stage, done, updated_at)
    found: dict[str, list[Stage]] = {}
    grouped = query.where(segments.c.job.in_(job_ids)).group_by(segments.c.job, segments.c.stage)
    for row in connection.execute(grouped):
        found.setdefault(row.job, []).append(Stage(row.stage, int(row[2]), row[3]))
    return found


def done_elsewhere(connection: sa.Connection, job_id: str, name: str) -> int:
    """Work that is done in the other segments of a job."""
    others = (segments.c.job == job_id) & (segments.c.name != name)
    return int(connection.execute(sa.select(sa.func.sum(segments.c.done)).where(others)).scalar() or 0)


def done_before_start(connection: sa.Connection, job_ids: list[str]) -> dict[str, int]:
    """Work that was done before the last start of these jobs, in segments that were not updated since."""
    query = sa.select(segments.c.job, sa.func.sum(segments.c.done)).join(jobs, jobs.c.id == segments.c.job)
    before = segments.c.job.in_(job_ids) & (segments.c.updated_at <= jobs.c.started_at)
    return {job_id: int(done) for job_id, done in connection.execute(query.where(before).group_by(segments.c.job))}


def unneeded(connection: sa.Connection, worker: str) -> list[tuple[str, str]]:
    """Job and name of the segments that a worker runs although their jobs are no longer running."""
    held = (segments.c.worker == worker) & segments.c.running & (jobs.c.state != "running")
    query = sa.select(segments.c.job, segments.c.name).join(jobs, jobs.c.id == segments.c.job).where(held)
    return [(row.job, row.name) for row in connection.execute(query)]


def invalidate_owners(connection: sa.Connection, job_id: str) -> None:
    """Fence off the owners of all segments of a job and reset their deaths, before a retry."""
    values = {"attempt": segments.c.attempt + 1, "running": False, "deaths": 0}
    connection.execute(segments.update().where(segments.c.job == job_id).values(**values))


def _check_running(connection: sa.Connection, job_id: str) -> None:
    state = connection.execute(sa.select(jobs.c.state).where(jobs.c.id == job_id)).scalar()
    if state != "running":
        raise Cancelled("the job is no longer running")


def _here(job_id: str, name: str) -> sa.ColumnElement[bool]:
    return (segments.c.job == job_id) & (segments.c.name == name)
