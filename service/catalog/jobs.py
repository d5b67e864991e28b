"""Rows of jobs and of their results."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.catalog import events, inputs
from service.catalog import segments as segments_catalog
from service.catalog.clock import moment
from service.catalog.ownership import OF_ALL, project_of
from service.catalog.rows import Row, get_row, page_rows
from service.catalog.segments import Stage
from service.catalog.tables import job_results, jobs
from service.contracts.base import Notice
from service.contracts.jobs import FINAL_STATES, OPEN_STATES, Job, JobResult, Progress
from service.errors import Conflict, NotFound, TooMany
from service.links import link
from service.principal import DEFAULT_PROJECT

# How PostgreSQL and SQLite name the constraint.
_KEY_TAKEN = re.compile(
    r'unique constraint "uq_jobs_idempotency_key"|UNIQUE constraint failed: jobs\.project, jobs\.idempotency_key$'
)
_HIDDEN = {
    "spec_sha256", "owner", "total", "unit", "idempotency_key", "request_sha256", "inputs_recorded", "held",
}  # fmt: skip
_UNEVEN = {"claims"}  # units of work of which one takes seconds and another an hour: their rate predicts nothing
_NEWEST = 1_000  # jobs whose specs are compared with one
_HREF = {kind: f"/v1/{kind}/" for kind in ("activations", "radius", "energy", "training")}
_HREF |= {kind: f"/v1/{kind}s/" for kind in ("profile", "sweep", "reproduction")}


class DuplicateKey(Exception):
    """A job was submitted under this idempotency key already."""


def insert(connection: sa.Connection, row: Row) -> None:
    """Add a queued job and its inputs; raises `DuplicateKey`, after which the transaction must be rolled back."""
    fixed = {"state": "queued", "warnings": [], "unit": "rows", "inputs_recorded": True}
    try:
        connection.execute(jobs.insert().values(**row, **fixed, created_at=moment(connection)))
    except IntegrityError as error:
        if _KEY_TAKEN.search(str(error.orig)):
            raise DuplicateKey from error
        raise
    inputs.record_named(connection, row["id"], project_of(connection) or DEFAULT_PROJECT, row["spec"])
    events.record(connection, row["id"], "queued")


def get(connection: sa.Connection, job_id: str) -> Job:
    """The job of that id; raises `NotFound`."""
    return _jobs(connection, [_row(connection, job_id)])[0]


def state(connection: sa.Connection, job_id: str) -> str | None:
    """The state of a job; None when there is no such job."""
    return connection.execute(sa.select(jobs.c.state).where(jobs.c.id == job_id)).scalar()


def page(
    connection: sa.Connection, limit: int, after: str | None, *, kind: str | None = None, state: str | None = None
) -> tuple[list[Job], str | None]:
    """One page of jobs, newest first, of one kind or state where given."""
    rows, following = page_rows(connection, jobs, limit, after, kind=kind, state=state)
    return _jobs(connection, rows), following


def count_open(connection: sa.Connection) -> int:
    """Number of the jobs of all projects that have not ended: a job waits for the jobs of every project."""
    query = sa.select(sa.func.count()).where(jobs.c.state.in_(OPEN_STATES))
    return connection.execute(query.execution_options(**OF_ALL)).scalar_one()


def check_queue(connection: sa.Connection, most: int) -> None:
    """Raise `TooMany` where `most` jobs of all projects wait.

    It counts no further than `most`; requests that are answered at the same moment may exceed it by one each.
    """
    waiting = sa.select(jobs.c.id).where(jobs.c.state == "queued").limit(most).subquery()
    count = sa.select(sa.func.count()).select_from(waiting).execution_options(**OF_ALL)
    if connection.execute(count).scalar_one() >= most:
        raise TooMany(f"{most} jobs wait already, as many as may (max_queued_jobs)")


def start(connection: sa.Connection, job_id: str) -> None:
    """queued → running; a repeated call changes nothing."""
    queued = (jobs.c.id == job_id) & (jobs.c.state == "queued")
    if connection.execute(jobs.update().where(queued).values(state="running", started_at=moment(connection))).rowcount:
        events.record(connection, job_id, "running")


def request_cancel(connection: sa.Connection, job_id: str) -> int:
    """queued or running → cancelling; cancelling and cancelled stay; returns the job's number of retries.

    Raises:
        NotFound: no such job.
        Conflict: it has ended otherwise.
    """
    open_job = (jobs.c.id == job_id) & jobs.c.state.in_(("queued", "running"))
    if connection.execute(jobs.update().where(open_job).values(state="cancelling")).rowcount:
        events.record(connection, job_id, "cancelling")
    found = _row(connection, job_id)
    if found["state"] not in ("cancelling", "cancelled"):
        raise Conflict("the job has ended already")
    return found["retries"]


def retry(connection: sa.Connection, job_id: str) -> int:
    """failed or cancelled → queued; returns the number of this retry.

    Raises:
        NotFound: no such job.
        Conflict: it is in another state.
    """
    number = _begin_again(connection, job_id, ("failed", "cancelled"))
    if number is None:
        _row(connection, job_id)
        raise Conflict("only a failed or cancelled job can be retried")
    return number


def begin_anew(connection: sa.Connection, job_id: str) -> int | None:
    """running → queued, and queued stays, as a new retry; returns its number, or None for a job in another state."""
    return _begin_again(connection, job_id, ("queued", "running"))


def _begin_again(connection: sa.Connection, job_id: str, states: tuple[str, ...]) -> int | None:
    those = (jobs.c.id == job_id) & jobs.c.state.in_(states)
    again = {"state": "queued", "retries": jobs.c.retries + 1, "error": None, "started_at": None}
    again |= {"finished_at": None, "held": False}
    if not connection.execute(jobs.update().where(those).values(**again)).rowcount:
        return None
    segments_catalog.invalidate_owners(connection, job_id)
    retries = _row(connection, job_id)["retries"]
    events.record(connection, job_id, "queued", {"retry": retries})
    return retries


def find_by_key(connection: sa.Connection, key: str) -> tuple[str, str] | None:
    """Id and request hash of the job that was submitted under an idempotency key."""
    query = sa.select(jobs.c.id, jobs.c.request_sha256).where(jobs.c.idempotency_key == key)
    found = connection.execute(query).first()
    return None if found is None else (found[0], found[1])


def finished_like(connection: sa.Connection, kind: str, spec: dict[str, Any]) -> str | None:
    """The newest job of that kind and of an equal spec that has succeeded, among the newest thousand; None if none."""
    query = sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.kind == kind, jobs.c.state == "succeeded")
    found = connection.execute(query.order_by(jobs.c.id.desc()).limit(_NEWEST))
    return next((row.id for row in found if row.spec == spec), None)


def open_labelled(connection: sa.Connection, label: str, value: str) -> list[str]:
    """Ids of the jobs with that label that have not ended."""
    query = sa.select(jobs.c.id, jobs.c.labels).where(jobs.c.state.in_(OPEN_STATES))
    return [row.id for row in connection.execute(query) if row.labels.get(label) == value]


def overdue(connection: sa.Connection) -> list[tuple[str, int]]:
    """Ids and retries of the running jobs that have taken longer than their `timeout_s`."""
    query = sa.select(jobs.c.id, jobs.c.retries, jobs.c.timeout_s, jobs.c.started_at).where(
        jobs.c.state == "running", jobs.c.timeout_s.is_not(None)
    )
    found, at = connection.execute(query).all(), moment(connection)
    return [(row.id, row.retries) for row in found if (at - row.started_at).total_seconds() > row.timeout_s]


def in_state(connection: sa.Connection, state: str) -> list[tuple[str, int]]:
    """Ids and retries of the jobs in a state."""
    query = sa.select(jobs.c.id, jobs.c.retries).where(jobs.c.state == state)
    return [(row.id, row.retries) for row in connection.execute(query)]


def ended_before(connection: sa.Connection, state: str, limit: datetime) -> list[tuple[str, dict[str, str]]]:
    """Ids and labels of the jobs that ended in that state before `limit`."""
    query = sa.select(jobs.c.id, jobs.c.labels).where(jobs.c.state == state, jobs.c.finished_at < limit)
    return [(row.id, row.labels) for row in connection.execute(query)]


def delete(connection: sa.Connection, job_id: str) -> int:
    """Delete an ended job with its segments, inputs, list of results and events; returns its number of retries.

    Raises:
        NotFound: no such job.
        Conflict: it has not ended, or is being retried.
    """
    retries = _row(connection, job_id)["retries"]
    ended = (jobs.c.id == job_id) & (jobs.c.retries == retries) & jobs.c.state.in_(FINAL_STATES)
    if connection.execute(jobs.delete().where(ended)).rowcount:
        return retries
    raise Conflict("only a job that has ended can be deleted; cancel it first")


def set_total(connection: sa.Connection, job_id: str, total: int, unit: str) -> None:
    """Set the total amount of work that the job's progress is measured against."""
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(total=total, unit=unit))
    events.record(connection, job_id, "planned", {"total": total, "unit": unit})


def warn(connection: sa.Connection, job_id: str, notices: list[Notice]) -> None:
    """Add warnings for the reader of the results; a notice already there is not repeated."""
    held = list(connection.execute(_locked(jobs.c.warnings, job_id)).scalar_one())
    added = [notice.model_dump() for notice in notices if notice.model_dump() not in held]
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(warnings=held + added))
    for notice in added:
        events.record(connection, job_id, "warning", notice)


def finish(connection: sa.Connection, job_id: str, state: str, error: dict[str, str] | None = None) -> bool:
    """Move a job to a final state; False when it was in one already, or is being cancelled and this is another end."""
    before = ("cancelling",) if state == "cancelled" else ("queued", "running")
    changed = connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.state.in_(before))
        .values(state=state, error=error, finished_at=moment(connection))
    )
    if changed.rowcount:
        events.record(connection, job_id, state, error or {})
    return changed.rowcount == 1


def add_result(connection: sa.Connection, job_id: str, kind: str, site: str | None, product: str) -> None:
    """Append a product to the job's results; a product already there is not repeated."""
    connection.execute(_locked(jobs.c.id, job_id))
    mine = job_results.c.job == job_id
    if connection.execute(sa.select(job_results.c.job).where(mine, job_results.c.product == product)).first():
        return
    last = connection.execute(sa.select(sa.func.max(job_results.c.position)).where(mine)).scalar()
    row = {"job": job_id, "position": 0 if last is None else last + 1, "type": kind, "site": site, "product": product}
    connection.execute(job_results.insert().values(row))
    events.record(connection, job_id, "result", {"type": kind, "id": product, "site": site})


def _row(connection: sa.Connection, job_id: str) -> Row:
    row = get_row(connection, jobs, job_id)
    if row is None:
        raise NotFound("no such job")
    return row


def _locked(column: sa.Column[Any], job_id: str) -> sa.Select[Any]:
    """Select a column of a job and lock the job's row until the transaction ends; SQLite has one writer anyway.

    The lock does not block inserts of rows that only refer to the job (its events).
    """
    return sa.select(column).where(jobs.c.id == job_id).with_for_update(key_share=True)


def _jobs(connection: sa.Connection, rows: list[Row]) -> list[Job]:
    ids = [row["id"] for row in rows]
    results: dict[str, list[JobResult]] = {job_id: [] for job_id in ids}
    query = sa.select(job_results).where(job_results.c.job.in_(ids)).order_by(job_results.c.position)
    for found in connection.execute(query).mappings():
        results[found["job"]].append(
            JobResult(
                type=found["type"],
                site=found["site"],
                id=found["product"],
                href=link(_HREF[found["type"]] + found["product"]),
            )
        )
    stages = segments_catalog.stages(connection, ids)
    retried = [row["id"] for row in rows if row["retries"]]  # what a retry found finished took none of its time
    before = segments_catalog.done_before_start(connection, retried) if retried else {}
    return [_job(row, results[row["id"]], stages.get(row["id"], []), before.get(row["id"], 0)) for row in rows]


def _job(row: Row, results: list[JobResult], stages: list[Stage], done_before: int) -> Job:
    shown: dict[str, Any] = {key: value for key, value in row.items() if key not in _HIDDEN}
    progress = _progress(row, stages, done_before)
    return Job(**shown, progress=progress, result=results[0] if results else None, results=results)


def _progress(row: Row, stages: list[Stage], done_before: int) -> Progress:
    done, total = sum(stage.done for stage in stages), row["total"]
    if row["state"] == "succeeded" and total is not None:
        done = total
    last, rate = max(stages, key=lambda stage: stage.updated_at, default=None), None
    if last is not None and row["started_at"] is not None:
        elapsed = (last.updated_at - row["started_at"]).total_seconds()
        recent = sum(stage.done for stage in stages) - done_before
        rate = recent / elapsed if elapsed > 0 and recent else None
    running = row["state"] == "running"
    even = row["unit"] not in _UNEVEN
    return Progress(
        done=done,
        total=total,
        unit=row["unit"],
        rate=rate,
        eta_s=max(0, total - done) / rate if running and even and rate and total is not None else None,
        stage=last.name if last is not None and running else None,
    )
