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
from service.contracts.reading import read_contract
from service.contracts.sweeps import Sweep, SweepCell
from service.contracts.training import EXPERIMENTS, QuestionFormationSpec
from service.ids import derived_id
from workers.figures.sweep import draw_sweep_figure
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import Nothing, runs
from workers.flows.training.arguments import (
    PREPARE_SWEEP,
    TABULATE,
    PreparedSweep,
    PrepareSweepArguments,
    RunArguments,
    TabulateArguments,
)
from workers.flows.training.data import make_task, prepare_data
from workers.flows.training.growing_folders import publish_view, remove_older_views
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
    "Interpolated D* is where log MSE, linear in log D between neighbouring cells, crosses σ². `interval_of` is the "
    "source of its 95 % interval: `seeds`, a Student interval over the runs of every cell; `window`, the error of the "
    "one run's window alone, which leaves out the spread between seeds and is too narrow.",
    "D* is where a gap of two losses falls below √σ², not where the loss is least for given compute.",
]


@runs(PREPARE_SWEEP)
def prepare_sweep(arguments: PrepareSweepArguments, owner: SegmentOwner) -> PreparedSweep:
    """Make the data that all runs share, and register the sweep and its runs."""
    spec, sweep_id, cells = arguments.spec, derived_id("sweep", owner.job_id), list(arguments.spec.runs())
    base = read_contract(EXPERIMENTS[spec.training["experiment"]], spec.training, prefix="spec.training.")
    prepare_data(base, sweep_id, owner)
    runs = [
        RunArguments(spec=cell.spec, run=derived_id("run", owner.job_id, position), data=sweep_id)
        for position, cell in enumerate(cells)
    ]
    name = spec.preset or "sweep"
    rows = _run_rows(name, cells, runs, owner)
    row = {
        "id": sweep_id,
        "job": owner.job_id,
        "name": name,
        "experiment": base.experiment,
        "spec": spec.model_dump(mode="json"),
        "cells": [
            {"run": run.run, "model": cell.model, "tokens": cell.tokens, "seed": cell.seed}
            for run, cell in zip(runs, cells, strict=True)
        ],
        "notes": [] if isinstance(base, QuestionFormationSpec) else NOTES,
        "created_at": now(),
    }

    def record(connection: Connection) -> None:
        catalog.register(connection, row)
        runs_catalog.clear_errors(connection, owner.job_id)
        jobs.add_result(connection, owner.job_id, "sweep", None, sweep_id)
        for run in rows:
            runs_catalog.register(connection, run)
            jobs.add_result(connection, owner.job_id, "training", None, run["id"])

    owner.record(record)
    return PreparedSweep(sweep=sweep_id, runs=runs)


def _run_rows(name: str, cells: list[SweepCell], runs: list[RunArguments], owner: SegmentOwner) -> list[dict[str, Any]]:
    """The catalog's rows of all runs; the parameters of each model are counted once."""
    counted: dict[str, dict[str, int]] = {}
    rows = []
    for run, cell in zip(runs, cells, strict=True):
        if cell.model not in counted:
            task = make_task(cell.spec, owner.runtime.artifact(run.data), torch.device("cpu"))
            counted[cell.model] = task.model.parameter_counts()
        rows.append(run_row(owner, run, f"{name}: {_title(cell)}", counted[cell.model]))
    return rows


@runs(TABULATE)
def tabulate_sweep(arguments: TabulateArguments, owner: SegmentOwner) -> Nothing:
    """Record Table 3 of the runs that have ended, and draw the figure unless it was drawn a few minutes ago."""
    current, sweep_id, last = owner.runtime, derived_id("sweep", owner.job_id), arguments.last
    sweep = current.read(lambda connection: catalog.get(connection, sweep_id))
    sweep = sweep.model_copy(update={"tables": stopping_tables(sweep)})
    tables = sweep.model_dump(mode="json")["tables"]
    drawn = _draw(sweep, owner) if last or _is_stale(current.artifact(sweep_id)) else {}
    owner.record(
        lambda connection: catalog.record(
            connection, sweep_id, tables=tables, finished_at=now() if last else None, **drawn
        )
    )
    remove_older_views(sweep_id, int(drawn.get("view_step", 0)), owner)
    return Nothing()


def _is_stale(artifact: Path) -> bool:
    """Whether the figure is older than a few minutes: drawing a grid takes seconds, too long for each run that ends."""
    drawn = [folder.stat().st_mtime for folder in artifact.glob("view-*")]
    return not drawn or time.time() - max(drawn) > _DRAWN_EVERY_S


def _draw(sweep: Sweep, owner: SegmentOwner) -> dict[str, Any]:
    begun = [run.run for run in sweep.runs if run.step > 0]
    curves = owner.runtime.read(lambda connection: {run: runs_catalog.metrics(connection, run)[0] for run in begun})
    step = sum(run.step + (run.stopping is not None) for run in sweep.runs)  # grows with all that is drawn

    def draw(folder: Path) -> list[Path]:
        return draw_sweep_figure(sweep, curves, folder / "figure")

    return publish_view(sweep.id, step, owner, draw)


def _title(cell: SweepCell) -> str:
    tokens = "" if cell.tokens is None else f", D = {cell.tokens:,}"
    return f"{cell.model}{tokens}, seed {cell.seed}"
