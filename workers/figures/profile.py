"""The figure of a profile: distance, dimension and null ratios over depth, each with its interval.

Dimension and null ratios are there where the reports have statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contracts.profile import Profile, ProfileSite
from service.contracts.statistics import Estimated, NullKind
from workers.figures.saving import save_figure
from workers.figures.style import BLUE, GREEN, PURPLE, VERMILLION, figure_style, printable

_NULLS: dict[NullKind, tuple[str, str, str]] = {
    "gaussian": (BLUE, "o", "Gaussian"),
    "permutation": (VERMILLION, "s", "permutation"),
    "elliptical": (GREEN, "^", "elliptical"),
    "same_last_token": (PURPLE, "D", "same last token"),
}
_NONE = Estimated(value=None, standard_error=None, interval=None)
_HEIGHTS = {1: 3.6, 2: 5.8, 3: 8.0}  # inches, by the number of panels


def draw_profile_figure(profile: Profile, stem: Path) -> list[Path]:
    """Draw `profile` and write it beside `stem` as PNG (1200 pixels wide), SVG and PDF; returns the paths."""
    drawn = [_draw_distances]
    if any(site.dimension.value is not None for site in profile.sites):
        drawn.append(_draw_dimensions)
    if any(ratio.value is not None for site in profile.sites for ratio in site.null_ratios):
        drawn.append(_draw_ratios)
    with figure_style():
        figure = Figure(figsize=(10, _HEIGHTS[len(drawn)]), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        panels: list[Axes] = list(figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0])
        depths = [site.depth for site in profile.sites]
        for axes, draw in zip(panels, drawn, strict=True):
            draw(axes, depths, profile.sites)
            _finish(axes)
        panels[-1].set_xlabel("blocks passed")
        panels[-1].set_xticks(depths, [_tick(site) for site in profile.sites])
        title = f"{profile.name}: {profile.n:,} rows at {len(depths)} sites, d_model {profile.d_model}"
        figure.suptitle(printable(title))
        return save_figure(figure, stem)


def _draw_distances(axes: Axes, depths: Sequence[float], sites: Sequence[ProfileSite]) -> None:
    _draw(axes, depths, [site.nn_distance for site in sites], "0.0", "o", "mean")
    axes.set_ylabel("distance to the\nnearest activation")


def _draw_dimensions(axes: Axes, depths: Sequence[float], sites: Sequence[ProfileSite]) -> None:
    _draw(axes, depths, [site.dimension for site in sites], "0.0", "o", "data")
    _draw(axes, depths, [_of_null(site) for site in sites], BLUE, "s", "Gaussian null")
    axes.set_ylabel("intrinsic dimension\n(TwoNN)")


def _draw_ratios(axes: Axes, depths: Sequence[float], sites: Sequence[ProfileSite]) -> None:
    for kind, (colour, marker, name) in _NULLS.items():
        _draw(axes, depths, [_ratio(site, kind) for site in sites], colour, marker, name)
    axes.axhline(1.0, color="0.5", linewidth=0.8)
    axes.set_ylabel("observed over null")


def _draw(
    axes: Axes, depths: Sequence[float], found: Sequence[Estimated], colour: str, marker: str, label: str
) -> None:
    """A line through the values that there are, with their intervals as bars."""
    there = [(depth, each) for depth, each in zip(depths, found, strict=True) if each.value is not None]
    if not there:
        return
    x, values = np.asarray([depth for depth, _ in there]), np.asarray([each.value for _, each in there], dtype=float)
    axes.plot(x, values, color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
    bars = [(depth, *each.interval) for depth, each in there if each.interval is not None]
    if bars:
        at, low, high = np.asarray(bars, dtype=float).T
        axes.vlines(at, low, high, color=colour, linewidth=1.2)


def _of_null(site: ProfileSite) -> Estimated:
    return _NONE.model_copy(update={"value": site.null_dimension})


def _ratio(site: ProfileSite, kind: NullKind) -> Estimated:
    return next((each for each in site.null_ratios if each.kind == kind), _NONE)


def _tick(site: ProfileSite) -> str:
    """The final norm's is a line below, as it is too near the last block's."""
    return f"{site.depth:g}" if site.depth == int(site.depth) else "\nnorm" if site.site == "final_norm_out" else ""


def _finish(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
