"""The figure of an energy report: distributions of g, β (E − g) and E_MCHN; of layers, g and what blocks do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from service.contracts.descent_report import DescentReport
from service.contracts.energy_report import EnergyReport, GlobalEnergies
from workers.figures.descent import draw_cosines, draw_layer_pairs, draw_shares
from workers.figures.energy_curves import G_STYLE, draw_bounded, draw_densities, draw_g, draw_mchn, energy_handles
from workers.figures.saving import save_figure
from workers.figures.style import axis_unit, figure_style, in_units, title_of

_WIDTH, _ROW_HEIGHT, _TOP, _LEGEND_LINE, _DPI = 10, 4.2, 0.4, 0.19, 120
_ONE_ROW, _ONE_BLOCK, _BLOCKS = "AB", "AB;SS;CC", "AB;SS;PC"  # panels, row by row


def draw_energy_figure(report: EnergyReport, stem: Path) -> list[Path]:
    """Draw `report` and write it beside `stem` as PNG, SVG and PDF; returns the paths."""
    with figure_style():
        return save_figure(energy_figure(report), stem)


def energy_figure(report: EnergyReport) -> Figure:
    """The figure, not yet laid out; its text has the size of `figure_style` if drawn there too."""
    figure = _figure_of_set(report) if len(report.layers) == 1 else _figure_of_layers(report)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _figure_of_set(report: EnergyReport) -> Figure:
    (layer,) = report.layers
    handles = energy_handles(layer)
    figure = _empty_figure(1, _LEGEND_LINE * len(handles))
    site = "" if layer.site is None else f"{layer.site}, "
    among = f"{report.points:,} points among {layer.patterns:,} patterns"
    figure.suptitle(title_of(report.name, f"{site}{among}, d_model = {report.d_model:,}"), parse_math=False)
    for axes, draw in zip(figure.subplots(1, 3), (draw_g, draw_bounded, draw_mchn), strict=True):
        draw(axes, layer)
    figure.legend(handles=handles, loc="outside lower center", alignment="left", frameon=False)
    return figure


def _figure_of_layers(report: EnergyReport) -> Figure:
    descent = report.descent
    panels = _ONE_ROW if descent is None else _ONE_BLOCK if descent.layer_pairs is None else _BLOCKS
    figure = _empty_figure(panels.count(";") + 1)
    axes = figure.subplot_mosaic(panels)
    _draw_layers(axes["A"], report)
    assert report.energy_global is not None
    _draw_global(axes["B"], report.energy_global)
    if descent is not None:
        _draw_blocks(axes, descent)
    for letter, part in axes.items():
        if part.get_legend_handles_labels()[0]:  # above the panel, so that it covers no data
            columns = 4 if letter == "S" else 2
            part.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
    size = f"{report.points:,} points, {len(report.layers)} sets of patterns, d_model = {report.d_model:,}"
    verdict = "" if descent is None else descent.verdict or ""
    figure.suptitle(title_of(report.name, size, verdict), parse_math=False)
    return figure


def _empty_figure(rows: int, below: float = 0.0) -> Figure:
    figure = Figure(figsize=(_WIDTH, _TOP + rows * _ROW_HEIGHT + below), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_blocks(axes: dict[str, Axes], descent: DescentReport) -> None:
    draw_shares(axes["S"], descent)
    draw_cosines(axes["C"], descent)
    if descent.layer_pairs is not None:
        draw_layer_pairs(axes["P"], descent.layer_pairs)


def _draw_layers(axes: Axes, report: EnergyReport) -> None:
    """Draw the median and the middle 90 % of g over the layers."""
    depth = np.arange(len(report.layers))
    summaries = [layer.g.distribution for layer in report.layers]
    unit = axis_unit(max(part.quantiles["0.95"] for part in summaries))
    low, high = ([part.quantiles[q] / unit for part in summaries] for q in ("0.05", "0.95"))
    axes.fill_between(depth, low, high, color="0.85", label="5 to 95 %")
    axes.plot(depth, [part.median / unit for part in summaries], "k-o", markersize=4, label="median")
    axes.set_xlabel("set, in the order of the layers")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"g of the points among the layer's patterns{in_units(unit)}")
    axes.set_ylim(bottom=0)


def _draw_global(axes: Axes, over: GlobalEnergies) -> None:
    found = over.corrected
    unit = draw_densities(axes, [found.energy_global], [G_STYLE])
    mean = found.energy_global.distribution.mean
    axes.plot([], [], label=f"E_global with E_t = g_t: mean {mean:.4g}", **G_STYLE)
    gap = f"c(x) from {found.gap_min:.3g} to {found.gap_max:.3g}, log l = {over.log_layers:.3g}"
    axes.set_xlabel(f"E_global{in_units(unit)}\n{gap}")
