"""The figure of an energy report: distributions of g, E and E_MCHN, and for several layers the effect of blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from service.contracts.energy_report import BlockReport, DescentReport, EnergyReport, MoveReport, Spread
from service.theory.histograms import histogram_density
from workers.figures.saving import save_figure

_NULLS = (("block", "the block", "k", "-", "o"), ("shuffled", "patterns of another layer", "C0", "--", "s"),
          ("random", "random step of that length", "C3", ":", "^"))  # fmt: skip


def draw_energy_figure(report: EnergyReport, stem: Path) -> list[Path]:
    """Draw `report` and write it beside `stem` as PNG, SVG and PDF; returns the paths."""
    rows = 1 if report.descent is None else 2
    figure = Figure(figsize=(10, 4.6 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 2, squeeze=False)
    if len(report.layers) == 1:
        _draw_distributions(axes[0, 0], axes[0, 1], report)
    else:
        _draw_layers(axes[0, 0], report)
        _draw_global(axes[0, 1], report)
    if report.descent is not None:
        _draw_shares(axes[1, 0], report.descent)
        _draw_changes(axes[1, 1], report.descent)
    for part in axes.flat:
        part.spines[["top", "right"]].set_visible(False)
        if part.get_legend_handles_labels()[0]:
            part.legend(framealpha=0.9, edgecolor="none", fontsize=8)
    figure.suptitle(f"{report.name}: {report.points:,} points, d_model {report.d_model}", fontsize=11)
    return save_figure(figure, stem)


def _stairs(axes: Axes, spread: Spread, label: str, **style: object) -> None:
    edges, counts = np.asarray(spread.histogram.edges), np.asarray(spread.histogram.counts)
    density = histogram_density(counts, edges)
    axes.stairs(density, edges, label=f"{label}: mean {spread.distribution.mean:.4g}", linewidth=1.5, **style)  # pyright: ignore


def _draw_distributions(left: Axes, right: Axes, report: EnergyReport) -> None:
    layer = report.layers[0]
    _stairs(left, layer.g, "g", color="k")
    for at, part in enumerate(layer.energies):
        dashes = ("--", "-.", ":")[at % 3]
        _stairs(left, part.energy, f"E, β = {part.beta:g}", color=f"C{at}", linestyle=dashes)
        _stairs(right, part.energy_mchn, f"E_MCHN, β = {part.beta:g}", color=f"C{at}", linestyle=dashes)
    left.set_xlabel("g, and E with g − log d ≤ E ≤ g at β = 1")
    right.set_xlabel("E_MCHN")
    left.set_ylabel("density")


def _draw_layers(axes: Axes, report: EnergyReport) -> None:
    """Draw the median and the middle 90 % of g over the layers."""
    depth = np.arange(len(report.layers))
    summaries = [layer.g.distribution for layer in report.layers]
    low, high = ([part.quantiles[q] for part in summaries] for q in ("0.05", "0.95"))
    axes.fill_between(depth, low, high, color="0.85", label="5 to 95 %")
    axes.plot(depth, [part.median for part in summaries], "k-o", markersize=4, label="median")
    axes.set_xlabel("set, in the order of the layers")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("g of the points among the layer's patterns")
    axes.set_ylim(bottom=0)


def _draw_global(axes: Axes, report: EnergyReport) -> None:
    assert report.energy_global is not None
    found = report.energy_global.corrected
    _stairs(axes, found.energy_global, "E_global with E_t = g_t", color="k")
    axes.set_xlabel(
        f"E_global; c(x) from {found.gap_min:.3g} to {found.gap_max:.3g}, log l = {report.energy_global.log_layers:.3g}"
    )
    axes.set_ylabel("density")


def _draw_shares(axes: Axes, descent: DescentReport) -> None:
    _curves(axes, descent, lambda move: move.decrease_share)
    axes.axhline(0.5, color="0.8", linewidth=1, zorder=0)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("share of points with g(x_t) < g(x_{t−1})")


def _draw_changes(axes: Axes, descent: DescentReport) -> None:
    _curves(axes, descent, lambda move: move.cosine)
    axes.axhline(0, color="0.8", linewidth=1, zorder=0)
    axes.set_xlabel("block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("cosine of the step and the direction to the nearest pattern")


def _curves(axes: Axes, descent: DescentReport, take: Callable[[MoveReport], float | None]) -> None:
    for name, label, colour, dashes, mark in _NULLS:
        points = [(block.layer, take(move)) for block in descent.blocks if (move := _move(block, name)) is not None]
        known = [(layer, value) for layer, value in points if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), color=colour, linestyle=dashes, marker=mark, markersize=4, label=label)


def _move(block: BlockReport, name: str) -> MoveReport | None:
    return getattr(block, name)
