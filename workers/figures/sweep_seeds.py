"""The panels of a Question-Formation sweep: validation loss, and first words that are right, of every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow
from workers.figures.style import line_style, marker_of, wrapped

_SHARES = {
    "gen_first_word": "first word right,\nwithheld kind",
    "val_first_auxiliary": "first word right,\ni.i.d.",
}
_MOST_LINES = 8  # up to which each run has a line of its own; else each model
_MARKS = 12  # of a line
_LABEL_WIDTH = 56


def draw_seeds(figure: Figure, sweep: Sweep, curves: Mapping[str, Sequence[MetricsRow]]) -> None:
    """Draw a panel each for the loss and the two shares of lines."""
    losses, *shares = figure.subplots(1 + len(_SHARES), 1, sharex=True)
    styles = _styles(sweep)
    for run in sweep.runs:
        seen = [row for row in curves.get(run.run, ()) if row.val_loss is not None]
        style = styles[_label(sweep, run.model, run.seed)] | {"markevery": max(1, len(seen) // _MARKS)}
        steps = [row.step for row in seen]
        losses.plot(steps, [row.val_loss for row in seen], gid=f"loss-{run.run}", **style)
        for axes, name in zip(shares, _SHARES, strict=True):
            axes.plot(steps, [row.details.get(name, np.nan) for row in seen], gid=f"{name}-{run.run}", **style)
    losses.axhline(1.0, color="0.5", linewidth=0.8, zorder=1)
    losses.set_ylabel("validation loss\n(nats per target)")
    for axes, label in zip(shares, _SHARES.values(), strict=True):
        axes.set(ylabel=label, ylim=(-0.03, 1.03))
    for axes in (losses, *shares):
        _add_step_axis(axes)


def seed_handles(sweep: Sweep) -> list[Line2D]:
    """Lines for the legend."""
    known = [Line2D([], [], label=wrapped(label, _LABEL_WIDTH), **style) for label, style in _styles(sweep).items()]
    return [*known, Line2D([], [], color="0.5", linewidth=0.8, label="L = 1")]


def _add_step_axis(axes: Axes) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelbottom=True)


def _styles(sweep: Sweep) -> dict[str, dict[str, Any]]:
    """The style of each run, or where these are many of each model, by its label."""
    labels = dict.fromkeys(_label(sweep, run.model, run.seed) for run in sweep.runs)
    return {
        label: line_style(at) | {"marker": marker_of(at), "markersize": 3.5, "linewidth": 1.0}
        for at, label in enumerate(labels)
    }


def _label(sweep: Sweep, model: str, seed: int) -> str:
    if len(sweep.runs) <= _MOST_LINES:
        return f"{model}, seed {seed}"
    return f"{model}, {sum(run.model == model for run in sweep.runs)} seeds"
