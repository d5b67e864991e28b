"""The figure of a radius report, after the paper's Fig. 2 (top): distances of the nested fractions, beside null models.

With statistics there is a second row: intrinsic dimension over scale, and the law of the size of the sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from service.contracts.radius import RadiusReport
from workers.figures.radius_distances import DistancePanel, draw_distances, legend_handles
from workers.figures.radius_panels import draw_dimension, draw_sample_size
from workers.figures.saving import save_figure
from workers.figures.style import figure_style, title_of

_WIDTH, _TOP, _BOTTOM, _DPI = 10, 5.4, 3.6, 120
_ROW, _FREE_ROWS = 0.18, 5  # inches of each further row above the densities
_BLANK = Line2D([], [], linestyle="none", label=" ")


def draw_radius_figure(report: RadiusReport, stem: Path) -> list[Path]:
    """Draw `report` and write it beside `stem` as PNG (1200 pixels wide), SVG and PDF; returns the paths."""
    with figure_style():
        return save_figure(radius_figure(report), stem)


def radius_figure(report: RadiusReport) -> Figure:
    """The figure, not yet laid out; its text has the size of `figure_style` if drawn there too."""
    panel = DistancePanel.of(report)
    top_height = _TOP + _ROW * max(0, panel.rows - _FREE_ROWS)
    two_rows = report.intrinsic_dimension is not None or report.sample_size is not None
    figure = Figure(figsize=(_WIDTH, top_height + two_rows * _BOTTOM), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_title(report), parse_math=False)
    if two_rows:
        top, bottom = figure.subfigures(2, 1, height_ratios=(top_height, _BOTTOM), squeeze=False)[:, 0]
        _draw_distances(top, panel).set_title("(a) distances", loc="left")
        _draw_statistics(bottom, report)
    else:
        _draw_distances(figure, panel)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _title(report: RadiusReport) -> str:
    """Model and data by the name that they were given, then the site where the name has it not, and the size."""
    site = "" if report.site is None or report.site in report.name else f"{report.site}, "
    size = f"{site}n = {report.n:,} patterns, d_model = {report.d_model:,}"
    beside = "" if report.reference is None else f", distances to {report.reference}"
    return title_of(report.name, size + beside)


def _draw_distances(figure: Figure | SubFigure, panel: DistancePanel) -> Axes:
    axes = figure.add_subplot()
    draw_distances(axes, panel)
    data, others = legend_handles(panel, panel.data), legend_handles(panel, panel.nulls + panel.theory)
    title = "fraction: ● mean" + (" ± 95 %" if panel.has_intervals else "") + ", ◇ median"
    legends: list[tuple[list[Line2D], str, Any]] = [
        (data, title, "outside lower left"), (others, "means of null models, and theory", "outside lower right"),
    ]  # fmt: skip
    for handles, name, place in legends:
        if handles:
            lines = handles + [_BLANK] * (max(len(data), len(others)) - len(handles))  # so that both are as high
            figure.legend(handles=lines, title=name, loc=place, alignment="left", frameon=False)
    return axes


def _draw_statistics(figure: SubFigure, report: RadiusReport) -> None:
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    if report.intrinsic_dimension is not None:
        draw_dimension(left.add_subplot(), report.intrinsic_dimension)
    if report.sample_size is not None:
        draw_sample_size(right.add_subplot(), report.sample_size, report.fractions[-1])
