"""Rows of jobs, their segments and their products."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from service.catalog.rows import Row, get_row, page_rows
from service.catalog.tables import job_results, jobs, segments
from service.contracts.base import Notice, now
from service.contracts.jobs import FINAL_STATES, Job, JobResult, Progress
from service.errors import NotFound

_HREF = {"activations": "/v1/activations/", "radius": "/v1/radius/", "energy": "/v1/energy/"}


def insert(connection: sa.Connection, row: Row) -> None:
    """Add a queued job."""
    connection.execute(jobs.insert().values(**row, state="queued", warnings=[], unit="rows", created_at=now()))


def get(connection: sa.Connection, job_id: str) -> Job:
    """The job of that id; raises `NotFound`."""
    row = get_row(connection, jobs, job_id)
    if row is None:
        raise NotFound("no such job")
    return _jobs(connection, [row])[0]


def page(
    connection: sa.Connection, limit: int, after: str | None, *, kind: str | None = None, state: str | None = None
) -> tuple[list[Job], str | None]:
    """One page of jobs, newest first, of one kind or state where given."""
    conditions = [jobs.c.kind == kind] * (kind is not None) + [jobs.c.state == state] * (state is not None)
    rows, following = page_rows(connection, jobs, limit, after, *conditions)
    return _jobs(connection, rows), following


def unfinished(connection: sa.Connection) -> list[str]:
    """Ids of the jobs that are not in a final state."""
    query = sa.select(jobs.c.id).where(jobs.c.state.not_in(FINAL_STATES))
    return [row.id for row in connection.execute(query)]


def start(connection: sa.Connection, job_id: str) -> None:
    """queued → running; a repeated call changes nothing."""
    connection.execute(
        jobs.update().where(jobs.c.id == job_id, jobs.c.state == "queued").values(state="running", started_at=now())
    )


def plan(connection: sa.Connection, job_id: str, total: int, unit: str) -> None:
    """Set how much work the job is, for its progress."""
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(total=total, unit=unit))


def warn(connection: sa.Connection, job_id: str, notices: list[Notice]) -> None:
    """Add what the reader of the results should know; a notice already there is not repeated."""
    held = list(connection.execute(sa.select(jobs.c.warnings).where(jobs.c.id == job_id)).scalar_one())
    added = [notice.model_dump() for notice in notices if notice.model_dump() not in held]
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(warnings=held + added))


def finish(connection: sa.Connection, job_id: str, state: str, error: dict[str, str] | None = None) -> bool:
    """Move an unfinished job to a final state; False when it was in one already."""
    changed = connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id, jobs.c.state.not_in(FINAL_STATES))
        .values(state=state, error=error, finished_at=now())
    )
    return changed.rowcount == 1


def tick(connection: sa.Connection, job_id: str, name: str, *, stage: str, done: int, worker: str) -> None:
    """Record how far a segment is."""
    moment = now()
    here = (segments.c.job == job_id) & (segments.c.name == name)
    most = sa.case((segments.c.done > done, segments.c.done), else_=done)  # a restarted segment catches up first
    changed = connection.execute(segments.update().where(here).values(done=most, worker=worker, updated_at=moment))
    if changed.rowcount == 0:
        connection.execute(
            segments.insert().values(
                job=job_id, name=name, stage=stage, done=done, worker=worker, started_at=moment, updated_at=moment
            )
        )


def add_result(connection: sa.Connection, job_id: str, kind: str, site: str | None, product: str) -> None:
    """Append a product to the job's results; a product already there is not repeated."""
    mine = sa.select(job_results).where(job_results.c.job == job_id)
    rows = connection.execute(mine).mappings().all()
    if all(row["product"] != product for row in rows):
        connection.execute(
            job_results.insert().values(job=job_id, position=len(rows), type=kind, site=site, product=product)
        )


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
                href=_HREF[found["type"]] + found["product"],
            )
        )
    ticks: dict[str, list[Row]] = {job_id: [] for job_id in ids}
    for found in connection.execute(sa.select(segments).where(segments.c.job.in_(ids))).mappings():
        ticks[found["job"]].append(dict(found))
    return [_job(row, results[row["id"]], ticks[row["id"]]) for row in rows]


def _job(row: Row, results: list[JobResult], ticks: list[Row]) -> Job:
    hidden = {"spec_sha256", "owner", "total", "unit"}
    shown: dict[str, Any] = {key: value for key, value in row.items() if key not in hidden}
    return Job(**shown, progress=_progress(row, ticks), result=results[0] if results else None, results=results)


def _progress(row: Row, ticks: list[Row]) -> Progress:
    done, total = sum(tick["done"] for tick in ticks), row["total"]
    if row["state"] == "succeeded" and total is not None:
        done = total
    last = max(ticks, key=lambda tick: tick["updated_at"], default=None)
    rate = None
    if last is not None:
        elapsed = (last["updated_at"] - min(tick["started_at"] for tick in ticks)).total_seconds()
        rate = done / elapsed if elapsed > 0 and done else None
    running = row["state"] == "running"
    return Progress(
        done=done,
        total=total,
        unit=row["unit"],
        rate=rate,
        eta_s=(total - done) / rate if running and rate and total is not None else None,
        stage=last["stage"] if last is not None and running else None,
    )
