"""Segments of a sweep: make the data and register all runs; tabulate and draw those that have ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from service.catalog import jobs
from service.catalog import sweeps as catalog
from service.catalog import training as runs_catalog
from service.catalog.engine import Connection
from service.contracts.base import now
from service.contracts.sweeps import Sweep, SweepCell, SweepSpec
from service.contracts.training import QuestionFormationSpec
from service.ids import derived_id
from workers.figures.sweep import draw_sweep_figure
from workers.flows.engine.runtime import SegmentProgress, runtime
from workers.flows.publishing import collect_leftovers, publish_view
from workers.flows.training.data import make_task, prepare_data, read_training
from workers.flows.training.segments import run_row
from workers.flows.training.sweep_tables import stopping_tables

_DRAWN_EVERY_S = 300.0
NOTES = [
    "MSE is of the training loss (whole batch, dropout on) against the least validation loss, mean_gap² + variance; "
    "the variance holds the noise of a batch, which a larger batch would not have.",
    "The least validation loss is the least of many evaluations, each with noise of its own, so biased low: below "
    "what new held-out text would give for that model. The gap and the MSE have that bias too.",
    "`before` and `after` are the steps on that side of the least validation loss; the paper's 'proceeding' says "
    "neither. A run with less than half of the window's steps on a side has no MSE there: one whose validation loss is "
    "least at its end has none after it.",
    "strict (<) and at_most (≤) differ only where an MSE is σ² to the last bit; the paper's own table, printed to two "
    "decimals, depends on which is meant: printed_strict and printed_at_most are of the MSE rounded like that.",
    "Interpolated D* is where log MSE, linear in log D between neighbouring cells, crosses σ². `interval_of` says what "
    "its 95 % interval knows: `seeds`, a Student interval over the runs of every cell; `window`, the error of the one "
    "run's window alone, which leaves out the spread between seeds and is too narrow.",
    "D* is where a gap of two losses falls below √σ², not where the loss is least for given compute.",
]


def prepare_sweep(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Make the data that all runs share, and register the runs; returns `{"sweep", "runs"}`, the arguments of each."""
    current, spec, sweep_id = runtime(), _spec(arguments), derived_id("sweep", job_id)
    base, cells, name = read_training(spec.training), list(spec.runs()), spec.preset or "sweep"
    prepare_data(base, sweep_id, progress)
    runs = [derived_id("run", job_id, position) for position in range(len(cells))]
    counted: dict[str, dict[str, int]] = {}
    rows = []
    for run_id, cell in zip(runs, cells, strict=True):
        if cell.model not in counted:
            task = make_task(cell.spec, current.artifact(sweep_id), torch.device("cpu"))
            counted[cell.model] = task.model.parameter_counts()
        title = f"{name}: {_title(cell)}"
        rows.append(run_row(job_id, run_id, sweep_id, cell.spec, title, counted[cell.model]))
    places = [
        {"run": run_id, "model": cell.model, "tokens": cell.tokens, "seed": cell.seed}
        for run_id, cell in zip(runs, cells, strict=True)
    ]
    row = {
        "id": sweep_id,
        "job": job_id,
        "name": name,
        "experiment": base.experiment,
        "spec": spec.model_dump(mode="json"),
        "cells": places,
        "notes": [] if isinstance(base, QuestionFormationSpec) else NOTES,
        "created_at": now(),
    }

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.register(connection, row)
        jobs.add_result(connection, job_id, "sweep", None, sweep_id)
        for run in rows:
            runs_catalog.register(connection, run)
            jobs.add_result(connection, job_id, "training", None, run["id"])

    current.write(record)
    collect_leftovers(sweep_id, 0, progress)
    given = [{"run": run_id} | cell.spec.model_dump(mode="json") for run_id, cell in zip(runs, cells, strict=True)]
    return {"sweep": sweep_id, "runs": given}


def tabulate_sweep(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Table 3 of the runs that have ended, and the figure, if it is not of a few minutes ago; at the end, always."""
    current, sweep_id = runtime(), derived_id("sweep", job_id)
    sweep = current.read(lambda connection: catalog.get(connection, sweep_id))
    sweep = sweep.model_copy(update={"tables": stopping_tables(sweep)})
    tables = sweep.model_dump(mode="json")["tables"]
    last = arguments["last"]
    drawn = _draw(sweep, progress) if last or _is_stale(current.artifact(sweep_id)) else {}

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, sweep_id, tables=tables, finished_at=now() if last else None, **drawn)

    current.write(record)
    collect_leftovers(sweep_id, int(drawn.get("view_step", 0)), progress)
    return {"sweep": sweep_id}


def _is_stale(artifact: Path) -> bool:
    """A grid takes seconds to draw, so not every run that ends has it drawn again."""
    drawn = [folder.stat().st_mtime for folder in artifact.glob("view-*")]
    return not drawn or time.time() - max(drawn) > _DRAWN_EVERY_S


def _draw(sweep: Sweep, progress: SegmentProgress) -> dict[str, Any]:
    begun = [run.run for run in sweep.runs if run.step > 0]
    curves = runtime().read(lambda connection: {run: runs_catalog.metrics(connection, run)[0] for run in begun})
    step = sum(run.step + (run.stopping is not None) for run in sweep.runs)  # grows with all that is drawn

    def draw(folder: Path) -> list[Path]:
        return draw_sweep_figure(sweep, curves, folder / "figure")

    return publish_view(sweep.id, step, progress, draw)


def _spec(arguments: dict[str, Any]) -> SweepSpec:
    return SweepSpec.model_validate({name: arguments[name] for name in SweepSpec.model_fields if name in arguments})


def _title(cell: SweepCell) -> str:
    tokens = "" if cell.tokens is None else f", D = {cell.tokens:,}"
    return f"{cell.model}{tokens}, seed {cell.seed}"
