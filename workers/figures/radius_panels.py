"""The small panels of a radius report: intrinsic dimension over scale, and the law of the size of the sample."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from service.contracts.radius import FractionReport
from service.contracts.statistics import DimensionEstimates, Interval, IntrinsicDimension, SampleSize
from service.rounding import with_error
from workers.figures.style import BLUE, VERMILLION, axis_unit, in_units, logarithmic

Point = tuple[float, float, Interval | None]  # where, value, interval
_DATA: dict[str, Any] = {"color": "k", "marker": "o", "linestyle": "-", "label": "Gride, 95 % interval"}
_NULL: dict[str, Any] = {"color": BLUE, "marker": "s", "linestyle": "--", "label": "of the Gaussian null"}
_SUBSAMPLES: dict[str, Any] = {"color": "k", "marker": "o", "linestyle": "none", "label": "subsamples ± s.e."}
_FURTHER: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "s",
    "linestyle": "none",
    "label": "extrapolated ± 95 %",
}
_TWO_NN: dict[str, Any] = {
    "color": VERMILLION,
    "marker": "D",
    "markersize": 7,
    "markerfacecolor": "none",
    "linestyle": "none",
}
_ALL_ROWS: dict[str, Any] = {"color": BLUE, "marker": "D", "markerfacecolor": "none", "linestyle": "none"}
_MOST_INTERVAL, _MOST_RATIO = 2.0, 10.0  # how far beyond the values a linear and a logarithmic axis follow intervals


def draw_dimension(axes: Axes, found: IntrinsicDimension) -> None:
    """Draw Gride over its scale, of the data and of the Gaussian null, and mark TwoNN, which is Gride at k = 1."""
    axes.set_title("(b) intrinsic dimension; above about 20 a lower bound", loc="left")
    axes.set_ylabel("dimension")
    known, of_null = _over_scale(found), [] if found.null is None else _over_scale(found.null)
    if not known:
        _say(axes, f"no estimate over scale: {_first_reason(found)}")
        return
    unit = axis_unit(max(scale for scale, _, _ in known + of_null))
    for points, style in ((known, _DATA), (of_null, _NULL)):
        if points:
            _draw_points(axes, _scaled(points, unit, 1.0), style)
    if found.two_nn.value is not None:
        label = "TwoNN " + _number(found.two_nn.value, found.two_nn.interval)
        axes.plot([known[0][0] / unit], [found.two_nn.value], label=label, gid="two-nn", **_TWO_NN)
    scales = [scale / unit for scale, _, _ in known + of_null]
    logarithmic(axes.xaxis, min(scales), max(scales))
    axes.set_ylim(0, 1.05 * _upper_end(known + of_null))
    axes.set_xlabel(f"mean distance to the 2k-th neighbour{in_units(unit)}")
    _legend_below(axes)


def draw_sample_size(axes: Axes, found: SampleSize, whole: FractionReport) -> None:
    """Draw the subsamples' means, all rows, and the fitted law with what it extrapolates to."""
    axes.set_title("(c) size of the sample", loc="left")
    axes.set_ylabel("mean distance")
    points = [(each.n, each.mean, _around(each.mean, each.standard_error)) for each in found.points if each.mean]
    further = [(each.n, each.mean, each.interval) for each in found.extrapolated if each.mean]
    every = (
        [(whole.n, whole.nn_distance.mean, None)] if whole.nn_distance is not None and whole.nn_distance.mean else []
    )
    if not points:
        _say(axes, f"no law: {found.reason or 'no subsample has a mean above 0'}")
        return
    shown = [*points, *further, *every]
    unit = axis_unit(max(mean for _, mean, _ in shown))
    _draw_points(axes, _scaled(points, 1.0, unit), _SUBSAMPLES)
    if every:
        axes.plot([whole.n], [every[0][1] / unit], label="all rows, not fitted", gid="all-rows", **_ALL_ROWS)
    _draw_law(axes, found, unit)
    if further:
        _draw_points(axes, _scaled(further, 1.0, unit), _FURTHER)
    logarithmic(axes.xaxis, min(n for n, _, _ in shown), max(n for n, _, _ in shown))
    logarithmic(axes.yaxis, *_value_limits(_scaled(shown, 1.0, unit)))
    axes.set(xlabel="rows", ylabel=f"mean distance{in_units(unit)}")
    _legend_below(axes, None if found.dimension is not None else f"no law: {found.reason}")


def _draw_points(axes: Axes, points: Sequence[Point], style: dict[str, Any]) -> None:
    """Points joined by the style's line, with a bar for each interval; hollow where there is none."""
    plain = {"color": style["color"], "linestyle": "none", "linewidth": 1.2}
    axes.plot([x for x, _, _ in points], [value for _, value, _ in points], **style, markersize=4, linewidth=1.2)
    for x, _, interval in points:
        if interval is not None:
            axes.plot([x, x], interval, **plain | {"linestyle": "-", "marker": "_", "markersize": 6})
    bare = [(x, value) for x, value, interval in points if interval is None]
    if bare:
        hollow = {"marker": style["marker"], "markersize": 4, "markerfacecolor": "white"}
        axes.plot(*zip(*bare, strict=True), **plain, **hollow)


def _draw_law(axes: Axes, found: SampleSize, unit: float) -> None:
    """The weighted least squares line through the points that have errors: dashed beyond them."""
    used = [(math.log(each.n), math.log(each.mean), each.mean / each.standard_error) for each in found.points
            if each.mean and each.standard_error]  # fmt: skip
    if found.dimension is None or not used:
        return
    log_n, log_mean, precision = np.array(used).T
    weights = np.square(precision / precision.max())
    centre = np.average(log_n, weights=weights), np.average(log_mean, weights=weights) - math.log(unit)
    ends = [log_n.min(), log_n.max(), *(math.log(each.n) for each in found.extrapolated if each.mean)]
    label = f"fit ∝ n^(−1/m), m = {_number(found.dimension, found.interval)}"
    within, beyond = (log_n.min(), log_n.max()), (min(ends), max(ends))
    for span, dashes, name in ((beyond, "--", None), (within, "-", label)):
        height = [math.exp(centre[1] - (x - centre[0]) / found.dimension) for x in span]
        axes.plot([math.exp(x) for x in span], height, color=VERMILLION, linestyle=dashes, linewidth=1.2,
                  label=name, gid="law" if name else "law-beyond", zorder=1)  # fmt: skip


def _over_scale(found: DimensionEstimates) -> list[Point]:
    return [(each.scale, each.value, each.interval) for each in found.gride if each.scale and each.value is not None]


def _first_reason(found: DimensionEstimates) -> str:
    reasons = [each.reason for each in (*found.gride, found.two_nn) if each.reason]
    return reasons[0] if reasons else "no row has enough neighbours"


def _scaled(points: Sequence[Point], of_x: float, of_value: float) -> list[Point]:
    return [
        (x / of_x, value / of_value, None if ends is None else (ends[0] / of_value, ends[1] / of_value))
        for x, value, ends in points
    ]


def _around(value: float, error: float | None) -> Interval | None:
    return None if error is None else (value - error, value + error)


def _number(value: float, interval: Interval | None) -> str:
    return with_error(value, interval, ".3g")


def _upper_end(points: Sequence[Point], most: float = _MOST_INTERVAL) -> float:
    """Above all values, and above the intervals that do not go far beyond them."""
    largest = max(value for _, value, _ in points)
    intervals = [interval[1] for _, _, interval in points if interval is not None]
    return max(largest, min(max(intervals, default=largest), most * largest))


def _value_limits(points: Sequence[Point]) -> tuple[float, float]:
    """Around values and intervals on a logarithmic axis, whose intervals may reach far down, or below 0."""
    least = min(value for _, value, _ in points)
    lower = min((interval[0] for _, _, interval in points if interval is not None), default=least)
    return min(least, max(lower, least / _MOST_RATIO)), _upper_end(points, _MOST_RATIO)


def _legend_below(axes: Axes, title: str | None = None) -> None:
    wrapped = None if title is None else textwrap.fill(title, 60)
    handles = axes.get_legend_handles_labels()[0]
    axes.figure.legend(handles=handles, title=wrapped, loc="outside lower center", ncols=2, frameon=False)


def _say(axes: Axes, reason: str) -> None:
    """The reason, in a panel that has nothing to show."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, textwrap.fill(reason, 50), transform=axes.transAxes, ha="center", va="center")
