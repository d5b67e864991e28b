"""The panels of an energy report's figure on blocks as a search, eq. (6): shares with intervals, pairs, cosines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from service.contracts.descent_report import BlockReport, DescentReport, LayerPairs, MoveReport, StepEstimates
from service.contracts.statistics import Estimated

# Of Okabe and Ito's colours, and different in lightness and hatching, so that they differ without colour too.
_STEPS = (
    ("block", "the block's step", "0.1", ""),
    ("mean_step", "mean step of all points", "#E69F00", ""),
    ("permuted_step", "step of another point", "#0072B2", "//"),
    ("random_step", "random step of that length", "0.85", ".."),
)
_WIDTH = 0.2
_NUMBERED = 8  # blocks up to which the cells of the layer pairs have their numbers


def draw_shares(axes: Axes, descent: DescentReport) -> None:
    """Draw a bar per step and block: the share of points whose g it decreases, with its 95 % interval."""
    for at, (kind, label, colour, hatch) in enumerate(_STEPS):
        found = [(block.layer, share) for block in descent.blocks if (share := _share(block, kind)) is not None]
        known = [(layer, share) for layer, share in found if share.value is not None]
        places = [layer + (at - 1.5) * _WIDTH for layer, _ in known]
        style = {"color": colour, "hatch": hatch, "edgecolor": "k", "linewidth": 0.6}
        axes.bar(places, [share.value or 0.0 for _, share in known], _WIDTH, label=label, **style)
        _draw_intervals(axes, places, [share for _, share in known])
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("block; lines are 95 % intervals by documents, given the patterns")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("share with g(x_t) < g(x_{t−1})")


def _draw_intervals(axes: Axes, places: list[float], shares: list[Estimated]) -> None:
    """Draw the interval of each share that has one, with a white border, which shows it on dark bars."""
    for place, share in zip(places, shares, strict=True):
        if share.interval is not None:
            for colour, width in (("w", 3.2), ("k", 1.4)):
                axes.plot([place, place], share.interval, color=colour, linewidth=width, solid_capstyle="butt")


def draw_cosines(axes: Axes, descent: DescentReport) -> None:
    """Draw the mean cosine of the step and the direction to the nearest pattern."""
    _curve(axes, descent, lambda block: block.block, "the block's step", {"color": "k", "marker": "o"})
    dotted = {"color": "0.5", "marker": "^", "linestyle": ":"}
    _curve(axes, descent, lambda block: block.random, "random step of that length", dotted)
    axes.axhline(0, color="0.8", linewidth=1, zorder=0)
    axes.set_xlabel("block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("cosine of the step and the direction\nto the nearest pattern")


def draw_layer_pairs(axes: Axes, pairs: LayerPairs) -> None:
    """Draw the share of points whose g decreases, of every block among the patterns of every layer."""
    shares = np.array([[np.nan if cell.value is None else cell.value for cell in row] for row in pairs.g_decreases])
    count = len(shares)
    ends = (0.5, count + 0.5)
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1, origin="lower", extent=(*ends, *ends), aspect="auto")
    for (row, column), share in np.ndenumerate(shares if count <= _NUMBERED else shares[:0]):
        axes.text(column + 1, row + 1, f"{share:.2f}", ha="center", va="center", color="w" if share > 0.55 else "k")
    axes.set_xlabel("step of block; shares whose g decreases" + ("" if count <= _NUMBERED else ", white 0, black 1"))
    axes.set_ylabel("patterns of layer")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _share(block: BlockReport, kind: str) -> Estimated | None:
    steps: dict[str, StepEstimates] = {null.kind: null.measured for null in block.nulls or []}
    if block.measured is not None:
        steps["block"] = block.measured
    return steps[kind].g_decreases if kind in steps else None


def _curve(
    axes: Axes, descent: DescentReport, take: Callable[[BlockReport], MoveReport], label: str, style: dict[str, str]
) -> None:
    known = [(block.layer, value) for block in descent.blocks if (value := take(block).cosine) is not None]
    if known:
        axes.plot(*zip(*known, strict=True), label=label, markersize=4, **style)  # pyright: ignore
