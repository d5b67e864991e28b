"""The distances' panel of a radius report: densities, and above them a row for each mean with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from service.contracts.radius import RadiusReport
from workers.figures.radius_curves import Curve, Spike, data_curves, last_edge, null_curves, spike_of, theory_curves
from workers.figures.style import axis_unit, in_units

_ROW = 0.052  # height of a row above the densities, as a share of the panel
_MOST_ROOM = 3.0  # over what the data need
_TAIL = 0.001


@dataclass(frozen=True)
class DistancePanel:
    """The content of the panel, distances in `unit`.

    Attributes:
        low, high: the ends of data and of null models near them.
        nulls, theory: those inside the ends.
        outside: the others, for which there are arrows.
        of_reference: the distances are to rows of another set.
    """

    unit: float
    low: float
    high: float
    data: list[Curve]
    nulls: list[Curve]
    theory: list[Curve]
    outside: list[Curve]
    spike: Spike | None
    of_reference: bool

    @classmethod
    def of(cls, report: RadiusReport) -> DistancePanel:
        """Decide what is inside."""
        last = [last_edge(part.histogram) for part in report.fractions if part.histogram is not None]
        unit, spike = axis_unit(max(last, default=1.0)), spike_of(report)
        data, nulls = data_curves(report, unit, spike), null_curves(report, unit)
        low, high = _ends(
            [(float(curve.edges[0]), float(curve.edges[-1])) for curve in data if curve.edges is not None]
        )
        room = _MOST_ROOM * (high - low)
        near = [curve for curve in nulls if max(high, _span(curve)[1]) - min(low, _span(curve)[0]) <= room]
        low, high = _ends([(low, high), *map(_span, near)])
        theory = theory_curves(report, unit)
        inside = [line for line in theory if low <= line.mean <= high]
        shown = {curve.name for curve in near + inside}
        outside = [curve for curve in nulls + theory if curve.name not in shown]
        return cls(unit, low, high, data, near, inside, outside, spike, report.reference is not None)

    @property
    def rows(self) -> int:
        """Rows above the densities."""
        return len(self.data) + len(self.nulls) + len(self.outside) + (self.spike is not None)

    @property
    def has_intervals(self) -> bool:
        """Whether a mean has its interval."""
        return any(curve.interval is not None for curve in self.data)

    @property
    def tallest(self) -> float:
        """Upper end of the densities: at most three times as high as that of the largest fraction."""
        whole, highest = _height(self.data[-1:]), _height(self.data + self.nulls)
        found = min(highest, _MOST_ROOM * whole) if whole > 0 else highest
        return 1.05 * found if found > 0 else 1.0


def draw_distances(axes: Axes, panel: DistancePanel) -> None:
    """Draw curves and lines, and the rows above them."""
    margin = 0.02 * (panel.high - panel.low)
    axes.set_xlim(panel.low - margin, panel.high + margin)
    share = max(0.3, 1 - _ROW * panel.rows)
    axes.set_ylim(0, panel.tallest / share)
    for curve in panel.nulls + panel.data:
        if curve.edges is None or curve.heights is None:
            axes.axvline(curve.mean, ymax=share, **curve.style)
        else:
            axes.stairs(np.minimum(curve.heights, panel.tallest), curve.edges, gid=curve.name, **curve.style)
    for line in panel.theory:
        axes.axvline(line.mean, ymax=share, gid=line.name, **line.style)
    for row, draw in enumerate(_rows(panel)):
        draw(axes, 1 - (1 - share) * (row + 0.5) / panel.rows)
    axes.spines["left"].set_bounds(0, panel.tallest)
    axes.set_yticks([tick for tick in MaxNLocator(5).tick_values(0, panel.tallest) if tick <= panel.tallest])
    axes.set_ylabel("density", y=share / 2)
    nearest = "row of the reference" if panel.of_reference else "other activation"
    axes.set_xlabel(f"L2 distance to the nearest {nearest} (twice the radius){in_units(panel.unit)}")


def legend_handles(panel: DistancePanel, curves: list[Curve]) -> list[Line2D]:
    """Lines of the curves; the label says whether a curve is higher than the panel."""
    cut = {curve.name: ", cut off" if _height([curve]) > panel.tallest else "" for curve in curves}
    return [
        Line2D([], [], markersize=4.5, label=curve.label + cut[curve.name], marker=curve.marker, **curve.style)
        for curve in curves
    ]


def _rows(panel: DistancePanel) -> Iterator[Callable[[Axes, float], None]]:
    """The functions that draw each row, at a height within the panel."""
    for curve in panel.data + panel.nulls:
        yield partial(_draw_mean, curve, curve.mean > panel.high)
    for curve in panel.outside:
        yield partial(_draw_arrow, curve, curve.mean < panel.low)
    if panel.spike is not None:
        yield partial(_draw_spike, panel.spike)


def _draw_mean(curve: Curve, beyond: bool, axes: Axes, height: float) -> None:
    """A dot at the mean, a bar over its interval, a diamond at the median; an arrow for a mean beyond the panel."""
    colour, across = curve.style["color"], blended_transform_factory(axes.transData, axes.transAxes)
    shared: dict[str, Any] = {"color": colour, "transform": across, "scalex": False, "scaley": False}
    if curve.interval is not None:
        ends = {"marker": "|", "markersize": 7, "linewidth": 1.4, "gid": f"interval-{curve.name}"}
        axes.plot(curve.interval, [height] * 2, **ends, **shared)
    if curve.median is not None:
        diamond = {"marker": "D", "markersize": 4.5, "markerfacecolor": "white", "gid": f"median-{curve.name}"}
        axes.plot([curve.median], [height], **diamond, **shared)
    at, marker = (curve.mean, curve.marker) if not beyond else (0.992, ">")
    if beyond:
        shared["transform"] = axes.transAxes
    axes.plot([at], [height], markersize=4.5, marker=marker, gid=f"mean-{curve.name}", **shared)


def _draw_arrow(curve: Curve, to_left: bool, axes: Axes, height: float) -> None:
    """An arrow at the border that the curve lies beyond, beside its label."""
    at, inwards, side = (0.008, 0.012, "left") if to_left else (0.992, -0.012, "right")
    colour = curve.style["color"]
    axes.plot([at], [height], marker="<" if to_left else ">", color=colour, transform=axes.transAxes,
              scalex=False, scaley=False, gid=f"arrow-{curve.name}")  # fmt: skip
    axes.text(at + inwards, height, curve.label, transform=axes.transAxes, va="center", ha=side)


def _draw_spike(spike: Spike, axes: Axes, height: float) -> None:
    """A mark above 0 and the number of rows there."""
    across = blended_transform_factory(axes.transData, axes.transAxes)
    axes.plot([0], [height], marker="^", color="k", transform=across, scalex=False, scaley=False, gid="spike")
    axes.annotate(spike.label, (0, height), (8, 0), xycoords=across, textcoords="offset points", va="center")


def _ends(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The ends of all spans; 0 and 1 where there is none, or none of a width."""
    low, high = min((span[0] for span in spans), default=0.0), max((span[1] for span in spans), default=1.0)
    return (low, high) if low < high else (low, low + 1)


def _span(curve: Curve) -> tuple[float, float]:
    """The range of the curve but for a thousandth of it at each end."""
    if curve.edges is None or curve.heights is None:
        return curve.mean, curve.mean
    below = np.cumsum(curve.heights * np.diff(curve.edges))
    inside = np.flatnonzero((below > _TAIL) & (below < 1 - _TAIL))
    first, last = (inside[0], min(inside[-1] + 1, len(below) - 1)) if len(inside) else (0, len(below) - 1)
    return float(curve.edges[first]), float(curve.edges[last + 1])


def _height(curves: Sequence[Curve]) -> float:
    return max((float(curve.heights.max()) for curve in curves if curve.heights is not None), default=0.0)
