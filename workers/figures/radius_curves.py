"""Curves of a radius report's figure: data, null models, theory; and the rows that the curves leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from service.contracts.radius import FractionReport, RadiusReport
from service.contracts.statistics import Histogram, NullDistances, NullKind
from service.rounding import with_error
from service.theory.histograms import histogram_density, wide_last_bin
from workers.figures.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION

Array = np.ndarray
_MOST_FRACTIONS = 8
_DASHES = ((0, (1.5, 1)), (0, (5, 1.5)), (0, (3, 1, 1, 1)))
_NULLS = {  # name, marker, colour, dashes
    "gaussian": ("Gaussian null", "s", BLUE, (0, (6, 2, 1, 2))),
    "permutation": ("permutation null", "^", GREEN, (0, (2, 1.5))),
    "elliptical": ("elliptical null", "v", ORANGE, (0, (9, 2))),
    "same_last_token": ("same-last-token null", "P", PURPLE, (0, (4, 1.5, 1, 1.5, 1, 1.5))),
}
_THEORY = {
    "paper_literal": ("paper, 2√(n/2πe) with n = d_model", (0, (1, 1.5))),
    "corrected": ("corrected, ball of volume 1", (0, (4, 2))),
}
_DOMINANT = 3.0


@dataclass(frozen=True)
class Curve:
    """One set of distances, all numbers in the axis' unit.

    Attributes:
        style: the line's style.
        marker: the mean's marker.
        interval: the mean's interval.
        edges, heights: the density; None where only the mean is known.
    """

    name: str
    label: str
    mean: float
    style: dict[str, Any]
    marker: str = ""
    median: float | None = None
    interval: tuple[float, float] | None = None
    edges: Array | None = None
    heights: Array | None = None


@dataclass(frozen=True)
class Spike:
    """Rows that the densities leave out, because their bin would flatten all others.

    Attributes:
        whole_bin: all of the first bin, not only the rows at distance 0.
    """

    whole_bin: bool
    label: str


def data_curves(report: RadiusReport, unit: float, spike: Spike | None) -> list[Curve]:
    """The fractions that have distances, eight at most: evenly chosen, with the first and the last."""
    known = [fraction for fraction in report.fractions if fraction.histogram and fraction.nn_distance]
    if len(known) > _MOST_FRACTIONS:
        known = [known[at] for at in np.linspace(0, len(known) - 1, _MOST_FRACTIONS).round().astype(int)]
    whole_bin = spike is not None and spike.whole_bin
    return [_fraction_curve(fraction, _shade(at, len(known)), unit, whole_bin) for at, fraction in enumerate(known)]


def null_curves(report: RadiusReport, unit: float) -> list[Curve]:
    """The null models that could be drawn; without statistics the Gaussian one's mean."""
    if report.null_models is not None:
        return [_null_curve(null, null.mean, unit) for null in report.null_models if null.mean is not None]
    null = report.null_model.fractions[-1].nn_distance if report.null_model is not None else None
    if null is None:
        return []
    name, marker, style = _null_style("gaussian")
    return [Curve("gaussian", f"{name}: {null.mean:.4g}", null.mean / unit, style, marker)]


def theory_curves(report: RadiusReport, unit: float) -> list[Curve]:
    """The distance that the paper's formula gives, and twice the radius of the ball whose volume is 1."""
    found = []
    for name, (label, dashes) in _THEORY.items():
        value = report.theory.get(name, {}).get("nn_distance")
        if value is not None:
            style = {"color": VERMILLION, "linestyle": dashes, "linewidth": 1.3}
            found.append(Curve(name, f"{label}: {value:.4g}", value / unit, style))
    return found


def spike_of(report: RadiusReport) -> Spike | None:
    """The rows at distance 0 of the largest fraction, or all of the first bin where it towers over the others."""
    whole = report.fractions[-1]
    if whole.histogram is None:
        return None
    counts, edge = whole.histogram.counts, whole.histogram.edges[1]
    zeros, rest = min(whole.duplicates, counts[0]), max(counts[1:], default=0)
    rows = f"of {sum(counts):,} rows"
    if counts[0] - zeros > _DOMINANT * rest > 0:
        return Spike(True, f"{counts[0]:,} {rows} below {edge:.2g}, {zeros:,} of them at 0; not in the curves")
    return Spike(False, f"{zeros:,} {rows} at 0 (duplicates), not in the curves") if zeros else None


def beyond(histogram: Histogram) -> int:
    """Counts of the wide last bin, which is not drawn; 0 where all bins are equal."""
    return histogram.counts[-1] if wide_last_bin(histogram.edges) else 0


def last_edge(histogram: Histogram) -> float:
    """The last edge of the drawn bins."""
    return histogram.edges[-2 if wide_last_bin(histogram.edges) else -1]


def density(histogram: Histogram, unit: float, left_out: int = 0) -> tuple[Array, Array]:
    """Edges, and share of all counts over the width of each bin; where counts are few, of several bins together.

    Args:
        left_out: counts of the first bin that are not drawn.
    """
    counts, edges = np.array(histogram.counts, dtype=np.float64), np.array(histogram.edges)
    total = max(1.0, counts.sum())
    counts[0] -= left_out
    if wide_last_bin(histogram.edges):
        counts, edges = counts[:-1], edges[:-1]
    starts = np.arange(0, len(counts), _merged(counts, total))
    chosen = np.append(edges[:-1][starts], edges[-1])
    heights = histogram_density(np.add.reduceat(counts, starts), chosen, unit=unit, total=total)
    with np.errstate(over="ignore", under="ignore"):
        return chosen / unit, heights


def _merged(counts: Array, total: float) -> int:
    """The number of bins drawn as one, so that about 2∛n (Rice) hold all but a hundredth of the rows at either end."""
    first, last = np.searchsorted(np.cumsum(counts), (0.01 * counts.sum(), 0.99 * counts.sum()))
    return max(1, round((last + 1 - first) / (2 * total ** (1 / 3))))


def _fraction_curve(fraction: FractionReport, style: dict[str, Any], unit: float, whole_bin: bool) -> Curve:
    found, histogram = fraction.nn_distance, fraction.histogram
    assert found is not None
    assert histogram is not None
    interval = None if found.uncertainty is None else found.uncertainty.mean.interval
    mean = with_error(found.mean, interval)
    left_out = f", {fraction.duplicates:,} at 0" if fraction.duplicates else ""
    if far := beyond(histogram):
        left_out += f", {far:,} beyond {last_edge(histogram):.3g}"
    label = f"{100 * fraction.fraction:.3g} %, n = {fraction.n:,}: {mean}, median {found.median:.4g}{left_out}"
    first = histogram.counts[0]
    edges, heights = density(histogram, unit, first if whole_bin else min(first, fraction.duplicates))
    scaled = None if interval is None else (interval[0] / unit, interval[1] / unit)
    name = f"fraction-{fraction.fraction:g}"
    return Curve(name, label, found.mean / unit, style, "o", found.median / unit, scaled, edges, heights)


def _shade(at: int, shown: int) -> dict[str, Any]:
    """Light to dark; the largest fraction is black, unbroken and thicker."""
    if at == shown - 1:
        return {"color": "0.0", "linestyle": "-", "linewidth": 1.8}
    return {"color": f"{0.62 * (1 - at / (shown - 1)):.2f}", "linestyle": _DASHES[at % len(_DASHES)], "linewidth": 1.1}


def _null_curve(null: NullDistances, mean: float, unit: float) -> Curve:
    name, marker, style = _null_style(null.kind)
    label = f"{name}: {mean:.4g}"
    if null.observed_over_null is not None:
        ratio, interval = null.observed_over_null, null.interval
        label += f", data / null {with_error(ratio, interval, '.3f')}"
    edges, heights = (None, None) if null.histogram is None else density(null.histogram, unit)
    return Curve(null.kind, label, mean / unit, style, marker, edges=edges, heights=heights)


def _null_style(kind: NullKind) -> tuple[str, str, dict[str, Any]]:
    """Name, marker and line of a null model."""
    name, marker, colour, dashes = _NULLS[kind]
    return name, marker, {"color": colour, "linestyle": dashes, "linewidth": 1.2}
