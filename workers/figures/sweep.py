"""The figure of a sweep: the curves of every model and D (Fig. 4; with one cell and several seeds Fig. 3), and the MSE
against D with σ²; for Question-Formation the losses and accuracies of every run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.contracts.sweeps import Sweep, SweepRun
from service.contracts.training import MetricsRow
from workers.figures.saving import save_figure
from workers.figures.style import VERMILLION, figure_style, title_of, wrapped
from workers.figures.sweep_errors import draw_errors, error_handles
from workers.figures.sweep_seeds import draw_seeds, seed_handles

Curves = Mapping[str, Sequence[MetricsRow]]
_MOST_POINTS = 1_000  # of a curve: a panel has fewer pixels
_DPI = 110
_WIDTH, _COLUMN, _ROW, _ERRORS, _SEEDS, _LEGEND_LINE, _REST = 8.0, 2.6, 2.4, 3.6, 8.0, 0.19, 0.8  # inches
_ONE_LINE, _TITLE_WIDTH = 20, 16  # characters above a panel: of model and D in one line, and of each line of several
_SHORT = 40  # characters of labels that stand in two columns
_TRAINING: dict[str, Any] = {"color": "0.6", "linestyle": "-", "linewidth": 0.7, "label": "training loss"}
_VALIDATION: dict[str, Any] = {
    "color": "k", "linestyle": "-", "linewidth": 1.2, "marker": "|", "markersize": 3, "label": "validation loss",
}  # fmt: skip
_LEAST: dict[str, Any] = {
    "color": VERMILLION, "linestyle": "none", "marker": "o", "markersize": 4.5, "label": "least validation loss",
}  # fmt: skip


def draw_sweep_figure(sweep: Sweep, curves: Curves, stem: Path) -> list[Path]:
    """Draw the logged steps of all runs and write the figure beside `stem`; returns the paths.

    Args:
        curves: logged steps of each run by its id; a run that has not started has none.
    """
    with figure_style():
        return save_figure(sweep_figure(sweep, curves), stem)


def sweep_figure(sweep: Sweep, curves: Curves) -> Figure:
    """The figure, not yet laid out; its text has the size of `figure_style` if drawn there too."""
    figure = _grid(sweep, curves) if sweep.experiment == "openelm" else _seeds(sweep, curves)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title_of(sweep.name), parse_math=False)
    return figure


def _grid(sweep: Sweep, curves: Curves) -> Figure:
    models = list(dict.fromkeys(run.model for run in sweep.runs))
    tokens = list(dict.fromkeys(run.tokens for run in sweep.runs))
    handles = [Line2D([], [], **style) for style in (_TRAINING, _VALIDATION, _LEAST)]
    errors = error_handles(sweep) if len(tokens) > 1 else []
    heights = [_ROW] * len(models) + ([_ERRORS] if errors else [])
    figure = _empty_figure(_COLUMN * len(tokens), sum(heights), handles + errors)
    places = figure.add_gridspec(len(heights), len(tokens), height_ratios=heights)
    first = None
    for row, model in enumerate(models):
        for column, size in enumerate(tokens):
            axes = figure.add_subplot(places[row, column], sharey=first)
            first = first or axes
            _draw_cell(axes, [run for run in sweep.runs if (run.model, run.tokens) == (model, size)], curves)
            axes.set_title(_cell_title(model, size), parse_math=False)
    if errors:
        draw_errors(figure.add_subplot(places[-1, :]), sweep)
    _legend(figure, handles + errors)
    return figure


def _cell_title(model: str, tokens: int | None) -> str:
    size = "" if tokens is None else f"D = {tokens:,}"
    if len(model + size) < _ONE_LINE:
        return wrapped(f"{model}, {size}" if size else model, _ONE_LINE)
    return f"{wrapped(model, _TITLE_WIDTH)}\n{size}".rstrip()


def _seeds(sweep: Sweep, curves: Curves) -> Figure:
    handles = seed_handles(sweep)
    figure = _empty_figure(_WIDTH, _SEEDS, handles)
    draw_seeds(figure, sweep, curves)
    _legend(figure, handles)
    return figure


def _empty_figure(width: float, height: float, handles: list[Line2D]) -> Figure:
    lines = sum(1 + str(handle.get_label()).count("\n") for handle in handles)
    size = (max(_WIDTH, width), _REST + height + _LEGEND_LINE * math.ceil(lines / _columns(handles)))
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _columns(handles: list[Line2D]) -> int:
    return 2 if max(len(str(handle.get_label())) for handle in handles) <= _SHORT else 1


def _legend(figure: Figure, handles: list[Line2D]) -> None:
    """Below the panels, so that it covers no data."""
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=_columns(handles), frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_cell(axes: Axes, runs: Sequence[SweepRun], curves: Curves) -> None:
    """Draw training and validation loss of one cell for every seed, with a dot at the least validation loss."""
    for run in runs:
        rows = curves.get(run.run, ())
        thin = rows[:: max(1, -(-len(rows) // _MOST_POINTS))]
        axes.plot([row.step for row in thin], [row.train_loss for row in thin], **_TRAINING)
        seen = [(row.step, row.val_loss) for row in rows if row.val_loss is not None]
        axes.plot([step for step, _ in seen], [loss for _, loss in seen], **_VALIDATION)
        if run.stopping is not None:
            axes.plot(run.stopping.step, run.stopping.min_val_loss, zorder=3, **_LEAST)
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set(xlabel="step", ylabel="loss (nats per token)")
