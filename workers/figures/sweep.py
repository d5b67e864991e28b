"""The figure of a sweep: the curves of every model and D (Fig. 4; with one cell and several seeds Fig. 3), and the MSE
against D with σ²; for Question-Formation the losses and accuracies of every seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contracts.sweeps import Sweep, SweepRun
from service.contracts.training import MetricsRow
from workers.figures.saving import save_figure

Curves = Mapping[str, Sequence[MetricsRow]]
_MOST_POINTS = 1_000  # of a curve: a panel has fewer pixels


def draw_sweep_figure(sweep: Sweep, curves: Curves, stem: Path) -> list[Path]:
    """Draw the logged steps of all runs and write the figure beside `stem`; returns the paths.

    Args:
        curves: logged steps of each run by its id; a run that has not started has none.
    """
    figure = _grid(sweep, curves) if sweep.experiment == "openelm" else _seeds(sweep, curves)
    FigureCanvasAgg(figure)
    figure.suptitle(sweep.name, fontsize=11)
    return save_figure(figure, stem)


def _grid(sweep: Sweep, curves: Curves) -> Figure:
    models = list(dict.fromkeys(run.model for run in sweep.runs))
    tokens = list(dict.fromkeys(run.tokens for run in sweep.runs))
    several = len(tokens) > 1
    heights = [2.1] * len(models) + ([3.2] if several else [])
    figure = Figure(figsize=(max(7.0, 2.1 * len(tokens)), sum(heights) + 0.5), dpi=110, layout="constrained")
    places = figure.add_gridspec(len(heights), len(tokens), height_ratios=heights)
    first = None
    for row, model in enumerate(models):
        for column, size in enumerate(tokens):
            axes = figure.add_subplot(places[row, column], sharey=first)
            first = first or axes
            chosen = [run for run in sweep.runs if (run.model, run.tokens) == (model, size)]
            _panel(axes, chosen, curves)
            axes.label_outer()
            axes.set_title(model if size is None else f"{model}, D = {size:,}", fontsize=8)
    if several:
        _errors(figure.add_subplot(places[-1, :]), sweep)
    figure.supylabel("loss (nats per token)", fontsize=9)
    return figure


def _panel(axes: Axes, runs: Sequence[SweepRun], curves: Curves) -> None:
    """Draw training and validation loss of one cell for every seed, with a dot at the least validation loss."""
    for run in runs:
        rows = curves.get(run.run, ())
        if not rows:
            continue
        thin = rows[:: -(-len(rows) // _MOST_POINTS)]
        axes.plot([row.step for row in thin], [row.train_loss for row in thin], color="0.7", lw=0.6)
        seen = [(row.step, row.val_loss) for row in rows if row.val_loss is not None]
        axes.plot([step for step, _ in seen], [loss for _, loss in seen], "k-", lw=0.9)
        if run.stopping is not None:
            axes.plot(run.stopping.step, run.stopping.min_val_loss, "C3.", ms=6)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _errors(axes: Axes, sweep: Sweep) -> None:
    """Draw the mean MSE against D by model, before (line) and after (dots) the least validation loss."""
    tables = sweep.tables or {}
    for side, dashes in (("before", "-"), ("after", ":")):
        for index, row in enumerate(tables[side].rows if side in tables else []):
            errors = [np.nan if cell.mse is None else cell.mse for cell in row.cells]
            label = None if np.isnan(errors).all() else f"{row.model}, {side} the least validation loss"
            axes.plot([cell.tokens for cell in row.cells], errors, f"C{index}.{dashes}", lw=1, label=label)
    sigma_sq = sweep.spec["sigma_sq"]
    axes.axhline(sigma_sq, color="C3", lw=1, ls="--", label=f"σ² = {sigma_sq:g}")
    axes.set(xscale="log", yscale="log", xlabel="D (tokens)", ylabel="MSE (nats²)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False, ncols=2)


def _seeds(sweep: Sweep, curves: Curves) -> Figure:
    """Draw the validation loss and the first-word accuracies in and out of distribution, a line for every run."""
    figure = Figure(figsize=(8, 7), dpi=110, layout="constrained")
    losses, accuracies = figure.subplots(2, 1, sharex=True)
    for index, run in enumerate(sweep.runs):
        seen = [row for row in curves.get(run.run, ()) if row.val_loss is not None]
        steps, colour = [row.step for row in seen], f"C{index % 10}"
        label = f"{run.model}, seed {run.seed}"
        losses.plot(steps, [row.val_loss for row in seen], color=colour, lw=1, label=label)
        for name, dashes in (("gen_first_word", "-"), ("val_first_auxiliary", ":")):
            values = [row.details.get(name, np.nan) for row in seen]
            accuracies.plot(steps, values, color=colour, ls=dashes, lw=1)
    losses.axhline(1.0, color="0.5", lw=0.8)
    losses.set_ylabel("validation loss (nats per target)")
    losses.legend(fontsize=7, frameon=False, ncols=2)
    accuracies.set(xlabel="step", ylabel="first word right\n(– withheld kind, ··· i.i.d.)", ylim=(-0.02, 1.02))
    for axes in (losses, accuracies):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
