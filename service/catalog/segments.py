"""Who works on a segment, how far it is, and whether a worker may still write for it.

A segment's `attempt` counts its owners. A worker that was frozen and replaced holds an older number, and is refused.
"""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.tables import jobs, segments
from service.errors import Cancelled, PoisonSegment, Superseded

MOST_DEATHS = 3


def claim(connection: sa.Connection, *, job_id: str, name: str, stage: str, worker: str) -> int:
    """Become the owner of a segment; returns the attempt, which every later call must show.

    Raises:
        Cancelled: the job is no longer running.
        PoisonSegment: three owners in a row died without any progress.
    """
    _check_running(connection, job_id)
    here, at = _here(job_id, name), moment(connection)
    row = connection.execute(sa.select(segments).where(here).with_for_update()).mappings().first()
    if row is None:
        values = {"job": job_id, "name": name, "stage": stage, "done": 0, "worker": worker, "attempt": 1}
        connection.execute(segments.insert().values(**values, running=True, started_at=at, updated_at=at))
        return 1
    deaths = 0
    if row["running"]:  # the owner before neither finished nor let go
        deaths = 1 if row["done"] > row["done_before"] else row["deaths"] + 1
    values = {"worker": worker, "attempt": row["attempt"] + 1, "running": deaths < MOST_DEATHS, "deaths": deaths}
    connection.execute(segments.update().where(here).values(**values, done_before=row["done"], updated_at=at))
    if deaths >= MOST_DEATHS:
        connection.commit()
        raise PoisonSegment(f"segment {name} killed its worker {deaths} times without any progress in between")
    return row["attempt"] + 1


def check(connection: sa.Connection, job_id: str, name: str, attempt: int) -> None:
    """Raise unless the owner with this `attempt` may still write; none can come after it before the transaction's end.

    The row stays locked until the transaction ends: the next owner comes after what is written in it.

    Raises:
        Cancelled: the job is no longer running.
        Superseded: another worker has taken the segment over.
    """
    _check_running(connection, job_id)
    held = connection.execute(sa.select(segments.c.attempt).where(_here(job_id, name)).with_for_update()).scalar()
    if held != attempt:
        raise Superseded(f"segment {name} has another owner")


def tick(connection: sa.Connection, job_id: str, name: str, attempt: int, *, done: int) -> None:
    """Record how far a segment is; raises as `check` does."""
    check(connection, job_id, name, attempt)
    most = sa.case((segments.c.done > done, segments.c.done), else_=done)  # a restarted segment catches up first
    connection.execute(segments.update().where(_here(job_id, name)).values(done=most, updated_at=moment(connection)))


def release(connection: sa.Connection, *, job_id: str, name: str, attempt: int) -> None:
    """Let go: finished, failed or drained. Nothing when another worker has it."""
    here = _here(job_id, name) & (segments.c.attempt == attempt)
    connection.execute(segments.update().where(here).values(running=False, updated_at=moment(connection)))


def release_all(connection: sa.Connection, worker: str) -> None:
    """A worker that is stopped lets go of what it holds: no death."""
    mine = (segments.c.worker == worker) & segments.c.running
    connection.execute(segments.update().where(mine).values(running=False, updated_at=moment(connection)))


def running(connection: sa.Connection, job_id: str) -> list[str]:
    """Workers that hold a segment of the job."""
    query = sa.select(segments.c.worker).where(segments.c.job == job_id, segments.c.running).distinct()
    return list(connection.execute(query).scalars())


def unneeded(connection: sa.Connection, worker: str) -> list[tuple[str, str]]:
    """Job and name of segments that a worker holds though their jobs no longer run."""
    held = (segments.c.worker == worker) & segments.c.running & (jobs.c.state != "running")
    query = sa.select(segments.c.job, segments.c.name).join(jobs, jobs.c.id == segments.c.job).where(held)
    return [(row.job, row.name) for row in connection.execute(query)]


def forget_owners(connection: sa.Connection, job_id: str) -> None:
    """Before a retry: nobody owns anything, not even one that is still at it, and nobody has died."""
    values = {"attempt": segments.c.attempt + 1, "running": False, "deaths": 0}
    connection.execute(segments.update().where(segments.c.job == job_id).values(**values))


def _check_running(connection: sa.Connection, job_id: str) -> None:
    state = connection.execute(sa.select(jobs.c.state).where(jobs.c.id == job_id)).scalar()
    if state != "running":
        raise Cancelled("the job is no longer running")


def _here(job_id: str, name: str) -> sa.ColumnElement[bool]:
    return (segments.c.job == job_id) & (segments.c.name == name)
