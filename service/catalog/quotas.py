"""Numbers of waiting and running jobs, for the quotas of projects, on a connection of one project.

A job beyond the quota of running jobs is held: it is `queued` here and unknown to the job engine, so it takes none of
the engine's places, for which the jobs of other projects would have to wait.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from service.catalog.tables import jobs

_HELD = (jobs.c.state == "queued") & jobs.c.held
_STARTED = (jobs.c.state.in_(("running", "cancelling")), (jobs.c.state == "queued") & ~jobs.c.held)


@dataclass(frozen=True)
class HeldJob:
    """A held job, as it is enqueued later."""

    id: str
    kind: str
    priority: int
    retries: int


def waiting(connection: sa.Connection) -> int:
    """Number of queued jobs."""
    return connection.execute(sa.select(sa.func.count()).where(jobs.c.state == "queued")).scalar_one()


def started(connection: sa.Connection, kinds: Collection[str]) -> int:
    """Number of the open jobs of some kinds that the engine has."""
    count = sa.select(sa.func.count()).where(jobs.c.kind.in_(kinds))
    return sum(connection.execute(count.where(part)).scalar_one() for part in _STARTED)  # each reads one index


def held(connection: sa.Connection, kinds: Collection[str], limit: int) -> list[HeldJob]:
    """The held jobs of some kinds that come first: by priority, then by age."""
    query = sa.select(jobs.c.id, jobs.c.kind, jobs.c.priority, jobs.c.retries).where(_HELD, jobs.c.kind.in_(kinds))
    rows = connection.execute(query.order_by(jobs.c.priority, jobs.c.id).limit(limit))
    return [HeldJob(*row) for row in rows]


def hold(connection: sa.Connection, job_id: str) -> None:
    """Hold a queued job."""
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(held=True))


def release(connection: sa.Connection, job_id: str) -> bool:
    """Release a held job; False if it was cancelled or released meanwhile."""
    return connection.execute(jobs.update().where(jobs.c.id == job_id, _HELD).values(held=False)).rowcount == 1


def projects_with_held(connection: sa.Connection) -> list[str]:
    """The projects that have held jobs, on a connection of all projects."""
    return list(connection.execute(sa.select(jobs.c.project).where(_HELD).distinct()).scalars())
