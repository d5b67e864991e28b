"""Histograms of distances and energies: equal bins whose edges increase strictly, whatever the values are.

Values far above the others would leave one bin for all the others; one wide bin at the end then holds them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_FENCE = 6.0  # interquartile ranges above the upper quartile; a normal distribution ends there by 9 deviations
_WORTH = 2.0  # times the range up to the fence: a shorter one is divided into equal bins
_WIDE = 1.5  # times the first bin
_LARGEST = float(np.finfo(np.float64).max)


def histogram_edges(samples: Sequence[Array], bins: int) -> Array:
    """(bins + 1,) edges of equal bins from the smallest to the largest finite value of all samples together.

    One value v alone lies in the middle, between 0 and 2v; 0 alone, and no value at all, give edges from 0 to 1.
    Where fewer than `bins` floating-point numbers lie in the range, it is widened by the spacing of these numbers.
    """
    edges = _equal_bins(*_range(samples), bins)
    if (edges[1:] > edges[:-1]).all():
        return edges
    return _equal_bins(*_widened(float(edges[0]), float(edges[-1]), bins), bins)


def tailed_edges(samples: Sequence[Array], bins: int) -> Array:
    """The edges of `histogram_edges`, or of `bins` − 1 equal bins and a wide last one up to the largest value.

    The equal bins then end at Q₃ + 6 (Q₃ − Q₁) of the positive values of all samples, where these reach more than twice
    as far from the smallest value. Fewer than a quarter of the values can be in the last bin.
    """
    low, high = _range(samples)
    values = np.concatenate(samples) if samples else np.empty(0)
    positive = values[np.isfinite(values) & (values > 0)]
    if len(positive) and low >= 0 and bins > 1:
        first, third = np.quantile(positive, (0.25, 0.75))
        fence = float(third + _FENCE * (third - first))
        if third > first and high - low > _WORTH * (fence - low):
            return np.append(histogram_edges([np.array([low, fence])], bins - 1), high)
    return histogram_edges(samples, bins)


def wide_last_bin(edges: Sequence[float]) -> bool:
    """Whether the last bin is the wide one of `tailed_edges`."""
    return len(edges) > 2 and (edges[-1] - edges[-2]) / _WIDE > edges[1] - edges[0]


def histogram_counts(values: Array, edges: Array) -> list[int]:
    """Numbers of finite values in [edges[i], edges[i+1]); the last bin is closed."""
    return np.histogram(values[np.isfinite(values)], edges)[0].tolist()


def gap_edges(log_d: float, bins: int) -> Array:
    """(bins + 1,) edges of equal bins over [−log d, 0], the range of β (E − g) by Prop. 1; of [−1, 0] where d is 1."""
    return np.linspace(-(log_d or 1.0), 0.0, bins + 1)


def histogram_density(counts: ArrayLike, edges: ArrayLike, *, unit: float = 1.0, total: float | None = None) -> Array:
    """(bins,) share of all counts over the width of each bin; what a figure can draw, 1e300 at most.

    Args:
        unit: the widths are divided by it.
        total: number of all counts where `counts` are only some of them.
    """
    numbers, places = np.asarray(counts, dtype=np.float64), np.asarray(edges, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        shares = numbers / max(1.0, numbers.sum() if total is None else total)
        return np.minimum(shares / (np.diff(places) / unit), 1e300)


def _range(samples: Sequence[Array]) -> tuple[float, float]:
    finite = [sample[np.isfinite(sample)] for sample in samples]
    values = np.concatenate(finite) if finite else np.empty(0)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    if low < high:
        return low, high
    if high == 0:
        return 0.0, 1.0
    return max(-_LARGEST, min(0.0, 2 * low)), min(_LARGEST, max(0.0, 2 * high))


def _widened(low: float, high: float, bins: int) -> tuple[float, float]:
    """A range around [low, high] whose bins are a whole number of spacings wide; of values ≥ 0 it has none below 0."""
    spacing = math.ulp(max(abs(low), abs(high)))
    first = max(0.0 if low >= 0 else -_LARGEST, low - 2 * bins * spacing)
    width = 4 + math.ceil((high - low) / spacing / bins)
    return first, min(_LARGEST, first + bins * width * spacing)


def _equal_bins(low: float, high: float, bins: int) -> Array:
    if high - low <= _LARGEST / 2:
        return np.linspace(low, high, bins + 1)
    edges = 4 * np.linspace(low / 4, high / 4, bins + 1)  # the width overflows, a quarter of it does not
    edges[0], edges[-1] = low, high
    return edges
