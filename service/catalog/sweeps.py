"""Rows of sweeps. Their runs are rows of `training_runs`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from service.catalog.ownership import with_owner
from service.catalog.rows import Row, get_row, insert_once, page_rows
from service.catalog.run_states import RunJob, jobs_of, outcome
from service.catalog.tables import sweeps, training_metrics, training_runs
from service.contracts.sweeps import GENERALISED, SHARES, SeedAccuracies, Stopping, Sweep, SweepRun, SweepSummary
from service.errors import NotFound
from service.links import link

_HIDDEN = {"cells", "view_step", "view_sha256"}


def register(connection: sa.Connection, row: Row) -> None:
    """Make a prepared sweep visible; repeating it changes nothing. `cells`: `{"run", "model", "tokens", "seed"}`."""
    insert_once(connection, sweeps, with_owner(row))


def record(connection: sa.Connection, sweep_id: str, **changes: Any) -> None:
    """Write what has changed of a sweep."""
    connection.execute(sweeps.update().where(sweeps.c.id == sweep_id).values(**changes))


def get(connection: sa.Connection, sweep_id: str) -> Sweep:
    """The sweep of that id, its runs as far as they are; raises `NotFound`."""
    row = _row(connection, sweep_id)
    ids = [cell["run"] for cell in row["cells"]]
    query = sa.select(training_runs).where(training_runs.c.id.in_(ids))
    runs = {run["id"]: run for run in connection.execute(query).mappings()}
    shown = {name: value for name, value in row.items() if name not in _HIDDEN}
    seeds = _seeds(connection, row["cells"]) if row["experiment"] == "question_formation" else None
    job = jobs_of(connection, [row["job"]]).get(row["job"])
    return Sweep(**shown, runs=[_run(cell, runs[cell["run"]], job) for cell in row["cells"]], seeds=seeds)


def view(connection: sa.Connection, sweep_id: str) -> tuple[int, str]:
    """Runs ended and manifest hash of the sweep's newest figures; raises `NotFound` while there are none."""
    row = _row(connection, sweep_id)
    if row["view_step"] is None:
        raise NotFound("the sweep has no figure yet")
    return row["view_step"], row["view_sha256"]


def page(connection: sa.Connection, limit: int, after: str | None) -> tuple[list[SweepSummary], str | None]:
    """One page of sweeps, newest first."""
    rows, following = page_rows(connection, sweeps, limit, after)
    names = set(SweepSummary.model_fields) - {"href"}
    found = [SweepSummary(**{name: row[name] for name in names}, href=link(f"/v1/sweeps/{row['id']}")) for row in rows]
    return found, following


def _run(cell: dict[str, Any], run: sa.RowMapping, job: RunJob | None) -> SweepRun:
    stopping = run["evaluation"].get("stopping")
    state, error = outcome(run, job)
    return SweepRun(
        **cell,
        state=state,
        error=error,
        step=run["step"],
        steps=run["steps"],
        parameters=run["parameters"]["without_embeddings"],
        losses=run["losses"],
        stopping=None if stopping is None else Stopping.model_validate(stopping),
        href=link(f"/v1/training/{cell['run']}"),
    )


def _seeds(connection: sa.Connection, cells: list[dict[str, Any]]) -> list[SeedAccuracies]:
    """The accuracies of each run, read from its evaluations: they show which rule it learned."""
    empty: dict[str, Any] = dict.fromkeys(SeedAccuracies.model_fields)
    found = {cell["run"]: empty | cell for cell in cells}
    table = training_metrics.c
    query = sa.select(table.run, table.step, table.val_loss, table.details)
    query = query.where(table.run.in_(found), table.val_loss.is_not(None)).order_by(table.run, table.step)
    for run, step, val_loss, details in connection.execute(query):
        seed = found[run]
        seed |= {"step": step, "val_loss": val_loss} | {name: details.get(name) for name in SHARES}
        share = details.get("gen_first_word")
        if share is None:
            continue
        seed["best_gen_first_word"] = max(share, seed["best_gen_first_word"] or 0.0)
        if share >= GENERALISED and seed["generalised_at"] is None:
            seed["generalised_at"] = step
    return [SeedAccuracies(**{name: seed[name] for name in SeedAccuracies.model_fields}) for seed in found.values()]


def _row(connection: sa.Connection, sweep_id: str) -> Row:
    row = get_row(connection, sweeps, sweep_id)
    if row is None:
        raise NotFound("no such sweep")
    return row
