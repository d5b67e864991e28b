"""The role of workers that an open job waits for, where none is alive."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog import workers
from service.contracts.base import WorkerRole
from service.contracts.jobs import OPEN_STATES, Job


def with_waiting(connection: sa.Connection, jobs: list[Job], lease_s: float) -> list[Job]:
    """The jobs, each with the role that it waits for: control to begin, compute to go on."""
    if not any(job.state in OPEN_STATES for job in jobs):
        return jobs
    missing = workers.missing_roles(connection, lease_s)
    return [job.model_copy(update={"waiting_for": _awaited(job, missing)}) for job in jobs]


def _awaited(job: Job, missing: list[WorkerRole]) -> WorkerRole | None:
    needed: dict[str, WorkerRole] = {"queued": "control", "cancelling": "control", "running": "compute"}
    role = needed.get(job.state)
    return role if role in missing else None
