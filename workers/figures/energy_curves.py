"""The panels of one set's energies: g, β (E − g) within the bounds of Prop. 1, and E_MCHN; a line for each β."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.contracts.energy_report import EnergiesAt, LayerEnergies, Spread
from workers.figures.radius_curves import density
from workers.figures.style import axis_unit, in_units, line_style, logarithmic

_LINE: dict[str, Any] = {"linewidth": 1.5}
G_STYLE: dict[str, Any] = {"color": "k", "linestyle": "-"} | _LINE
_BOUND: dict[str, Any] = {"color": "0.6", "linestyle": "-", "linewidth": 3, "zorder": 0}
_MARGIN = 0.03
_EQUAL = 1e-9  # of the largest value: a narrower range is that of one value but for rounding


def draw_g(axes: Axes, layer: LayerEnergies) -> None:
    """Draw the density of g."""
    unit = draw_densities(axes, [layer.g], [G_STYLE])
    axes.set_title("(a) squared distance", loc="left")
    axes.set_xlabel(f"g, to the nearest pattern{in_units(unit)}")


def draw_bounded(axes: Axes, layer: LayerEnergies) -> None:
    """Draw the share of points in each bin of β (E − g), and the bounds of Prop. 1 as upright lines."""
    axes.set_title("(b) E within Prop. 1", loc="left")
    known = [(at, part.beta_energy_minus_g) for at, part in enumerate(layer.energies) if part.beta_energy_minus_g]
    if not known:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "β (E − g) is not in the report", transform=axes.transAxes, ha="center", va="center")
        return
    shares = {at: _shares(found) for at, found in known}
    least = 0.5 / max(1, sum(known[0][1].histogram.counts))
    logarithmic(axes.yaxis, least, max(float(share.max()) for share in shares.values()))
    bottom, edges = axes.get_ylim()[0], np.array(known[0][1].histogram.edges)
    for at, share in shares.items():
        axes.stairs(np.maximum(share, bottom), edges, baseline=None, gid=f"gap-{at}", **_LINE, **line_style(at))
    lower = layer.bounds.corrected.proposition_1.lower
    for name, place in (("lower", lower), ("upper", 0.0)):
        axes.axvline(place, gid=f"{name}-bound", **_BOUND)
    margin = _MARGIN * (edges[-1] - edges[0])
    axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.set_xlabel(f"β (E − g), from −log d = {_number(lower)} to 0")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("share of points per bin")


def draw_mchn(axes: Axes, layer: LayerEnergies) -> None:
    """Draw the density of E_MCHN at each β."""
    spreads = [part.energy_mchn for part in layer.energies]
    unit = draw_densities(axes, spreads, [_LINE | line_style(at) for at in range(len(spreads))])
    axes.set_title("(c) modern Hopfield energy", loc="left")
    axes.set_xlabel(f"E_MCHN{in_units(unit)}")


def draw_densities(axes: Axes, spreads: Sequence[Spread], styles: Sequence[dict[str, Any]]) -> float:
    """Draw a density each, and return the unit of the axis."""
    ends = [abs(end) for spread in spreads for end in (spread.histogram.edges[0], spread.histogram.edges[-1])]
    unit = axis_unit(max(ends))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    low, high = (end(bound.histogram.edges[at] for bound in spreads) / unit for end, at in ((min, 0), (max, -1)))
    if high - low <= _EQUAL * max(abs(low), abs(high)):
        _draw_equal(axes, high, styles)
        return unit
    for at, (spread, style) in enumerate(zip(spreads, styles, strict=True)):
        edges, heights = density(spread.histogram, unit)
        axes.stairs(heights, edges, gid=f"density-{at}", **style)
    margin = _MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylabel("density")
    return unit


def _draw_equal(axes: Axes, value: float, styles: Sequence[dict[str, Any]]) -> None:
    """An upright line at the value that all points have."""
    for at, style in enumerate(styles):
        axes.axvline(value, gid=f"density-{at}", **style)
    axes.set(xlim=sorted((0.5 * value, 1.5 * value)), yticks=[], ylabel="all values agree to 9 digits")


def energy_handles(layer: LayerEnergies) -> list[Line2D]:
    """Lines for the legend with the means; the first is that of g."""
    g = layer.g.distribution
    first = Line2D([], [], label=f"g: mean {_number(g.mean)}, median {_number(g.median)}", **G_STYLE)
    styles = (_LINE | line_style(at) for at in range(len(layer.energies)))
    return [first] + [
        Line2D([], [], label=_means(part), **style) for part, style in zip(layer.energies, styles, strict=True)
    ]


def _means(part: EnergiesAt) -> str:
    means = [("E", part.energy), ("β (E − g)", part.beta_energy_minus_g), ("E_MCHN", part.energy_mchn)]
    known = [f"{name} {_number(found.distribution.mean)}" for name, found in means if found is not None]
    return f"β = {part.beta:g}: mean {', '.join(known)}"


def _number(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):.4g}"


def _shares(found: Spread) -> np.ndarray:
    counts = np.array(found.histogram.counts, dtype=np.float64)
    return counts / max(1.0, counts.sum())
