"""The panel of a sweep's MSE against D: cells with their intervals, σ², and where the MSE crosses it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter

from service.contracts.sweeps import StoppingCell, StoppingRow, Sweep
from workers.figures.style import line_style, logarithmic, marker_of, wrapped

_SIDES = ("before", "after")
_SIGMA: dict[str, Any] = {"color": "k", "linestyle": "-", "linewidth": 0.8}
_BAR: dict[str, Any] = {"color": "k", "linestyle": "-", "linewidth": 1.2, "marker": "|", "markersize": 7}
_MOST_RATIO = 10.0  # how far beyond the MSE the axis follows its intervals
_LEAST_MSE = 1e-12  # below it the axis is cut
_CROSSING = 0.05  # height of the row of a D*, as a share of the panel
_LABEL_WIDTH = 56
_LABEL_ROOM = 0.12  # of the label of a D, as a share of the axis
Curve = tuple[str, StoppingRow, dict[str, Any]]


def error_handles(sweep: Sweep) -> list[Line2D]:
    """Lines for the legend."""
    known = [Line2D([], [], label=_label(row, side), **style) for side, row, style in _curves(sweep)]
    sigma = Line2D([], [], label=f"σ² = {sweep.spec['sigma_sq']:g}", **_SIGMA)
    bar = Line2D([], [], label="95 % interval of the MSE; below: D*", **_BAR)
    return [*known, sigma, bar] if any(_has_interval(row) for _, row, _ in _curves(sweep)) else [*known, sigma]


def draw_errors(axes: Axes, sweep: Sweep) -> None:
    """Draw the mean MSE against D by model, before (filled) and after (hollow) the least validation loss."""
    sigma_sq = sweep.spec["sigma_sq"]
    curves = list(_curves(sweep))
    for at, (side, row, style) in enumerate(curves):
        shift = 1.015 ** (at - len(curves) / 2)  # so that bars at one D do not cover each other
        places = [cell.tokens * shift for cell in row.cells]
        values = [np.nan if cell.mse is None else max(cell.mse, _LEAST_MSE) for cell in row.cells]
        axes.plot(places, values, gid=f"{side}-{row.model}", **style)
        for place, cell in zip(places, row.cells, strict=True):
            if cell.interval is not None:
                _bar(axes, [place, place], cell.interval, "_", style, f"interval-{side}-{row.model}")
    axes.axhline(sigma_sq, gid="sigma", zorder=1, **_SIGMA)
    _set_limits(axes, sweep)
    _draw_crossings(axes, [curve for curve in curves if curve[1].interval is not None])
    axes.set(xlabel="D (tokens)", ylabel="MSE (nats²)")


def _draw_crossings(axes: Axes, curves: list[Curve]) -> None:
    """Below the data a row each: D* and its interval."""
    low, high = axes.get_ylim()
    bottom = low * (low / high) ** (_CROSSING * (len(curves) + 1))
    axes.set_ylim(bottom if curves else low, high)
    for at, (side, row, style) in enumerate(curves, 1):
        height = bottom * (high / low) ** (_CROSSING * at)
        assert row.interval is not None
        _bar(axes, row.interval, [height, height], "|", style, f"crossing-{side}-{row.model}")
        found = row.optimal_tokens.get("interpolated")
        axes.plot([] if found is None else [found], [] if found is None else [height], **style)


def _bar(axes: Axes, x: list[float], y: list[float], marker: str, style: dict[str, Any], name: str) -> None:
    axes.plot(x, y, gid=name, **_BAR | {"color": style["color"], "marker": marker})


def _set_limits(axes: Axes, sweep: Sweep) -> None:
    """Around all cells, measured or not, and σ²; intervals as far as they do not flatten the rest."""
    tokens = [run.tokens for run in sweep.runs if run.tokens is not None]
    cells = [cell for _, row, _ in _curves(sweep) for cell in row.cells if cell.mse is not None]
    values = [sweep.spec["sigma_sq"], *(max(cell.mse or 0.0, _LEAST_MSE) for cell in cells)]
    lows, highs = zip(*map(_followed, cells), strict=True) if cells else ((), ())
    logarithmic(axes.xaxis, min(tokens), max(tokens))
    axes.set_xticks(_spread_out(tokens))
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    logarithmic(axes.yaxis, min(values + list(lows)), max(values + list(highs)))


def _spread_out(tokens: Sequence[int]) -> list[int]:
    """The values of D whose labels have room beside each other."""
    chosen: list[int] = []
    room = _LABEL_ROOM * math.log(max(tokens) / min(tokens))
    for each in sorted(set(tokens)):
        if not chosen or math.log(each / chosen[-1]) >= room:
            chosen.append(each)
    return chosen


def _followed(cell: StoppingCell) -> tuple[float, float]:
    """The ends of the cell's interval, at most `_MOST_RATIO` times the MSE away from it."""
    value = max(cell.mse or 0.0, _LEAST_MSE)
    low, high = cell.interval or (value, value)
    return max(low, value / _MOST_RATIO), min(high, value * _MOST_RATIO)


def _curves(sweep: Sweep) -> Iterator[Curve]:
    """Side, row and style of each model that has an MSE there."""
    tables = sweep.tables or {}
    for side in _SIDES:
        for at, row in enumerate(tables[side].rows if side in tables else []):
            if any(cell.mse is not None for cell in row.cells):
                fill = {} if side == "before" else {"markerfacecolor": "white"}
                yield side, row, line_style(at) | {"marker": marker_of(at), "markersize": 5, "linewidth": 1.2} | fill


def _has_interval(row: StoppingRow) -> bool:
    return row.interval is not None or any(cell.interval is not None for cell in row.cells)


def _label(row: StoppingRow, side: str) -> str:
    return wrapped(f"{row.model}, {side} the least validation loss", _LABEL_WIDTH)
