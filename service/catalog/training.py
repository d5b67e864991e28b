"""Rows of training runs, their metrics and their kept models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa

from service.catalog import inputs
from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, insert_once, page_rows, put
from service.catalog.run_states import jobs_of, outcome
from service.catalog.tables import training_checkpoints, training_metrics, training_runs
from service.contracts.training import Checkpoint, MetricsRow, TrainingRun, TrainingSummary, TrajectoryPoint
from service.errors import NotFound
from service.links import link

_PAGE = 5_000  # rows of metrics that are read at once
_HIDDEN = {"view_step", "view_sha256", "state_file", "state_sha256", "error"}


def register(connection: sa.Connection, row: Row) -> None:
    """Make a prepared run visible; repeating it changes nothing."""
    insert_once(connection, training_runs, with_owner(row))


def record(connection: sa.Connection, run_id: str, rows: list[MetricsRow], **changes: Any) -> None:
    """Write the metrics of the newest steps over those of an owner that died, and the other changes of the run."""
    if rows:
        steps = training_metrics.c.step.between(rows[0].step, rows[-1].step)
        connection.execute(training_metrics.delete().where(training_metrics.c.run == run_id, steps))
        connection.execute(training_metrics.insert(), [{"run": run_id, **row.model_dump()} for row in rows])
    if changes:
        connection.execute(training_runs.update().where(training_runs.c.id == run_id).values(**changes))


def keep_checkpoint(connection: sa.Connection, run_id: str, step: int, sha256: str) -> None:
    """Make a kept model visible; repeating it changes nothing but the hash."""
    put(connection, training_checkpoints, {"run": run_id, "step": step, "sha256": sha256})


def drop_checkpoints(connection: sa.Connection, run_id: str, steps: Iterable[int]) -> None:
    """Make kept models invisible, all but those that a job names. No job can name one until the transaction ends."""
    connection.execute(sa.select(training_runs.c.id).where(training_runs.c.id == run_id).with_for_update())
    dropped = sorted(set(steps) - inputs.named_steps(connection, run_id))
    mine = training_checkpoints.c.run == run_id
    connection.execute(training_checkpoints.delete().where(mine, training_checkpoints.c.step.in_(dropped)))


def least_loss(connection: sa.Connection, run_id: str, until: int) -> tuple[float, int] | None:
    """The least logged validation loss up to a step, and the earliest step that has it; None without any."""
    table = training_metrics.c
    query = sa.select(table.val_loss, table.step).order_by(table.val_loss, table.step).limit(1)
    mine = (table.run == run_id) & (table.step <= until) & table.val_loss.is_not(None)
    found = connection.execute(query.where(mine)).first()
    return None if found is None else (found.val_loss, found.step)


def fail(connection: sa.Connection, run_id: str, error: dict[str, str]) -> None:
    """Record why a run of a sweep failed."""
    connection.execute(training_runs.update().where(training_runs.c.id == run_id).values(error=error))


def clear_errors(connection: sa.Connection, job_id: str) -> None:
    """Clear the errors of the runs of a job that is retried."""
    connection.execute(training_runs.update().where(training_runs.c.job == job_id).values(error=None))


def add_points(connection: sa.Connection, run_id: str, step: int, points: list[TrajectoryPoint]) -> None:
    """Set the trajectory's points of the model kept at `step`; repeating it changes nothing."""
    others = [point for point in get(connection, run_id).trajectory if point.step != step]
    rows = [point.model_dump() for point in sorted(others + points, key=lambda point: point.step)]
    connection.execute(training_runs.update().where(training_runs.c.id == run_id).values(trajectory=rows))


def get(connection: sa.Connection, run_id: str) -> TrainingRun:
    """The run of that id; raises `NotFound`."""
    row = _row(connection, run_id)
    shown = {name: value for name, value in row.items() if name not in _HIDDEN}
    shown["trajectory"] = shown["trajectory"] or []
    state, error = outcome(row, jobs_of(connection, [row["job"]]).get(row["job"]))
    return TrainingRun(**shown, state=state, error=error, checkpoints=checkpoints(connection, run_id))


def view(connection: sa.Connection, run_id: str) -> tuple[int, str]:
    """Step and manifest hash of the run's newest figure; raises `NotFound` while there is none."""
    row = _row(connection, run_id)
    if row["view_step"] is None:
        raise NotFound("the run has no figure yet")
    return row["view_step"], row["view_sha256"]


def state(connection: sa.Connection, run_id: str) -> tuple[str, str] | None:
    """Name and SHA-256 of the file that the run resumes from; None before the first. Raises `NotFound`."""
    row = _row(connection, run_id)
    return None if row["state_file"] is None else (row["state_file"], row["state_sha256"])


def lock_for_reading(connection: sa.Connection, run_id: str) -> None:
    """Keep this run from being deleted until the transaction ends."""
    this = sa.select(training_runs.c.id).where(training_runs.c.id == run_id)
    connection.execute(this.with_for_update(read=True, key_share=True))


def checkpoints(connection: sa.Connection, run_id: str) -> list[Checkpoint]:
    """The kept models of a run, first step first."""
    kept, logged = training_checkpoints.c, training_metrics.c
    evaluated = sa.outerjoin(
        training_checkpoints, training_metrics, (kept.run == logged.run) & (kept.step == logged.step)
    )
    query = sa.select(kept.step, kept.sha256, logged.val_loss).select_from(evaluated)
    rows = connection.execute(query.where(kept.run == run_id).order_by(kept.step)).mappings()
    return [Checkpoint(**row, model=f"run:{run_id}@{row['step']}") for row in rows]


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[TrainingSummary], str | None]:
    """One page of runs, newest first."""
    rows, following = page_rows(connection, training_runs, limit, after)
    names, found = set(TrainingSummary.model_fields) - {"href", "state"}, jobs_of(connection, [r["job"] for r in rows])
    return [
        TrainingSummary(
            **{name: row[name] for name in names},
            state=outcome(row, found.get(row["job"]))[0],
            href=link(f"/v1/training/{row['id']}"),
        )
        for row in rows
    ], following


def metrics(
    connection: sa.Connection, run_id: str, limit: int | None = None, after: int = -1
) -> tuple[list[MetricsRow], int | None]:
    """Up to `limit` logged steps after the step `after`, in order, and the cursor of what follows."""
    here = (training_metrics.c.run == run_id) & (training_metrics.c.step > after)
    query = sa.select(training_metrics).where(here).order_by(training_metrics.c.step)
    if limit is not None:
        query = query.limit(limit + 1)
    rows = [_metrics_row(row) for row in connection.execute(query).mappings()]
    if limit is None or len(rows) <= limit:
        return rows, None
    return rows[:limit], rows[limit - 1].step


def sampled_metrics(connection: sa.Connection, run_id: str, points: int) -> list[MetricsRow]:
    """About `points` logged steps in order: the least and largest loss of each stretch, and evaluations."""
    table = training_metrics.c
    mine = table.run == run_id
    here = sa.select(sa.func.count(), sa.func.min(table.step), sa.func.max(table.step), sa.func.count(table.val_loss))
    count, first, last, evaluations = connection.execute(here.where(mine)).one()
    if count <= points:
        return metrics(connection, run_id)[0]
    length, between = math.ceil(count / (points // 4)), math.ceil(2 * evaluations / points) or 1
    chosen, evaluated, rows = {first, last}, 0, _pages(connection, run_id, table.train_loss, table.step, table.val_loss)
    while stretch := list(islice(rows, length)):
        chosen |= {min(stretch)[1], max(stretch)[1]}
        steps = [step for _, step, val_loss in stretch if val_loss is not None]
        chosen |= set(steps[-evaluated % between :: between])
        evaluated += len(steps)
    query = sa.select(training_metrics).where(mine, table.step.in_(chosen)).order_by(table.step)
    return [_metrics_row(row) for row in connection.execute(query).mappings()]


def detail_names(connection: sa.Connection, run_id: str) -> list[str]:
    """The names in `details` of the logged steps, as they first occur."""
    found: dict[str, None] = {}
    for (details,) in _pages(connection, run_id, training_metrics.c.details):
        found |= dict.fromkeys(details)
    return list(found)


def _pages(connection: sa.Connection, run_id: str, *columns: sa.Column[Any]) -> Iterator[tuple[Any, ...]]:
    """Columns of all logged steps in order, of which few thousand are in memory at once."""
    table, after = training_metrics.c, -1
    while True:
        query = sa.select(table.step, *columns).where(table.run == run_id, table.step > after)
        rows = connection.execute(query.order_by(table.step).limit(_PAGE)).all()
        yield from (tuple(row[1:]) for row in rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1][0]


def _metrics_row(row: sa.RowMapping) -> MetricsRow:
    return MetricsRow(**{name: row[name] for name in MetricsRow.model_fields})


def _row(connection: sa.Connection, run_id: str) -> Row:
    row = get_row(connection, training_runs, run_id)
    if row is None:
        raise NotFound("no such training run")
    return row
