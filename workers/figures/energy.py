"""The figure of an energy report: distributions of g, E and E_MCHN, and for several layers the effect of blocks."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from service.contracts.energy_report import EnergyReport, Spread
from service.theory.histograms import histogram_density
from workers.figures.descent import draw_cosines, draw_layer_pairs, draw_shares
from workers.figures.saving import save_figure

_FONT_SIZE = 9
_TITLE_WIDTH = 140  # characters of a line
_TEXTS = ("figure.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
_ONE_ROW, _ONE_BLOCK, _BLOCKS = "AB", "AB;SS;CC", "AB;SS;PC"  # panels, row by row


def draw_energy_figure(report: EnergyReport, stem: Path) -> list[Path]:
    """Draw `report` and write it beside `stem` as PNG, SVG and PDF; returns the paths."""
    with rc_context({"font.size": _FONT_SIZE, **dict.fromkeys(_TEXTS, _FONT_SIZE)}):
        return save_figure(_figure(report), stem)


def _figure(report: EnergyReport) -> Figure:
    descent = report.descent
    panels = _ONE_ROW if descent is None else _ONE_BLOCK if descent.layer_pairs is None else _BLOCKS
    rows = panels.count(";") + 1
    figure = Figure(figsize=(10, 4.6 + 4.2 * (rows - 1)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    named = {"A": "left", "B": "right", "S": "shares", "P": "pairs", "C": "cosines"}
    axes = {named[letter]: part for letter, part in figure.subplot_mosaic(panels).items()}
    if len(report.layers) == 1:
        _draw_distributions(axes["left"], axes["right"], report)
    else:
        _draw_layers(axes["left"], report)
        _draw_global(axes["right"], report)
    if descent is not None:
        draw_shares(axes["shares"], descent)
        draw_cosines(axes["cosines"], descent)
        if descent.layer_pairs is not None:
            draw_layer_pairs(axes["pairs"], descent.layer_pairs)
    for part in axes.values():
        part.spines[["top", "right"]].set_visible(False)
        if part.get_legend_handles_labels()[0]:  # above the panel, so that it covers no data
            part.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=4 if part is axes.get("shares") else 2, frameon=False
            )
    title = f"{report.name}: {report.points:,} points, d_model {report.d_model}"
    verdict = "" if descent is None or descent.verdict is None else f"\n{fill(descent.verdict, _TITLE_WIDTH)}"
    figure.suptitle(title + verdict)
    return figure


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
