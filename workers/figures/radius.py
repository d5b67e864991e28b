"""The figure of a radius report, after the paper's Fig. 2 (top): distances of the nested fractions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contracts.radius import FractionReport, RadiusReport
from service.theory.histograms import histogram_density
from workers.figures.saving import save_figure

_SHADES = ("0.72", "0.52", "0.32", "0.0")  # light to dark, so that they differ in print without colour
_DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), "-")


def draw_radius_figure(report: RadiusReport, stem: Path) -> list[Path]:
    """Draw `report` and write it beside `stem` as PNG (1200 pixels wide), SVG and PDF; returns the paths."""
    figure = Figure(figsize=(10, 5.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = [fraction for fraction in report.fractions if fraction.histogram is not None]
    for position, fraction in enumerate(shown):
        _draw_fraction(axes, fraction, position + len(_SHADES) - min(len(shown), len(_SHADES)))
    _draw_lines(axes, report)
    axes.set_xlabel("L2 distance to the nearest other activation (twice the radius)")
    axes.set_ylabel("density")
    axes.set_title(f"{report.name}: {report.n:,} patterns, d_model {report.d_model}", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(framealpha=0.9, edgecolor="none", fontsize=9)
    return save_figure(figure, stem)


def _draw_fraction(axes: Axes, fraction: FractionReport, position: int) -> None:
    assert fraction.histogram is not None
    assert fraction.nn_distance is not None
    edges, counts = np.asarray(fraction.histogram.edges), np.asarray(fraction.histogram.counts)
    density = histogram_density(counts, edges)
    style = min(position, len(_SHADES) - 1)
    mean, median = fraction.nn_distance.mean, fraction.nn_distance.median
    label = f"{fraction.fraction:.0%} (n = {fraction.n:,}): mean {mean:.3g}, median {median:.3g}"
    axes.stairs(density, edges, color=_SHADES[style], linestyle=_DASHES[style], linewidth=1.6, label=label)


def _draw_lines(axes: Axes, report: RadiusReport) -> None:
    whole = report.fractions[-1].nn_distance
    theory = report.theory["paper_literal"]["nn_distance"]
    null = report.null_model.fractions[-1].nn_distance if report.null_model is not None else None
    lines = [(theory, ":", "C3", f"2√(n/2πe) = {theory:.3g}, n = d_model")]
    if null is not None:
        lines.append((null.mean, "-.", "C0", f"Gaussian null, mean {null.mean:.3g}"))
    if whole is not None:
        lines += [(whole.mean, "--", "k", "mean"), (whole.median, (0, (1, 1)), "k", "median")]
    for value, dashes, colour, label in lines:
        axes.axvline(value, linestyle=dashes, color=colour, linewidth=1.3, label=label)
