"""State and error of training runs: those of the job, and in a sweep each run's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.catalog.tables import jobs
from service.contracts.base import JobState

Error = dict[str, str]
_ENDED: frozenset[str] = frozenset({"cancelling", "cancelled", "failed"})


@dataclass(frozen=True)
class RunJob:
    """The columns of a job that decide the state of its run."""

    kind: str
    state: JobState
    error: Error | None


def jobs_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, RunJob]:
    """The jobs of some runs, by id; one that was deleted is left out."""
    query = sa.select(jobs.c.id, jobs.c.kind, jobs.c.state, jobs.c.error).where(jobs.c.id.in_(set(ids)))
    return {row.id: RunJob(row.kind, row.state, row.error) for row in connection.execute(query)}


def outcome(row: Mapping[str, Any] | sa.RowMapping, job: RunJob | None) -> tuple[JobState, Error | None]:
    """`(state, error)` of the run in a row of `training_runs`; without its job as far as the row has them."""
    if job is not None and job.kind != "sweep":
        return job.state, job.error
    if row["error"] is not None:
        return "failed", row["error"]
    if row["finished_at"] is not None:
        return "succeeded", None
    if job is not None and job.state in _ENDED:  # the job engine may have given up the run without an error of its own
        return job.state, job.error
    return ("running" if row["step"] else "queued"), None
