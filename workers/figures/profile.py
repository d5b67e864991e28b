"""The figure of a profile: distance, dimension and null ratios over depth, each with its interval."""

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


def draw_profile_figure(profile: Profile, stem: Path) -> list[Path]:
    """Draw `profile` and write it beside `stem` as PNG (1200 pixels wide), SVG and PDF; returns the paths."""
    with figure_style():
        figure = Figure(figsize=(10, 8), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        distance, dimension, ratio = figure.subplots(3, 1, sharex=True)
        depths = [site.depth for site in profile.sites]
        _draw(distance, depths, [site.nn_distance for site in profile.sites], "0.0", "o", "mean")
        distance.set_ylabel("distance to the\nnearest activation")
        _draw(dimension, depths, [site.dimension for site in profile.sites], "0.0", "o", "data")
        _draw(dimension, depths, [_of_null(site) for site in profile.sites], BLUE, "s", "Gaussian null")
        dimension.set_ylabel("intrinsic dimension\n(TwoNN)")
        for kind, (colour, marker, name) in _NULLS.items():
            _draw(ratio, depths, [_ratio(site, kind) for site in profile.sites], colour, marker, name)
        ratio.axhline(1.0, color="0.5", linewidth=0.8)
        ratio.set_ylabel("observed over null")
        ratio.set_xlabel("blocks passed")
        ratio.set_xticks(depths, [_tick(site) for site in profile.sites])
        for axes in (distance, dimension, ratio):
            _finish(axes)
        title = f"{profile.name}: {profile.n:,} rows at {len(depths)} sites, d_model {profile.d_model}"
        figure.suptitle(printable(title))
        return save_figure(figure, stem)


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
    return f"{site.depth:g}" if site.depth == int(site.depth) else "norm" if site.site == "final_norm_out" else ""


def _finish(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
