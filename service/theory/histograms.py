"""Histograms of distances and energies: equal bins whose edges increase strictly, whatever the values are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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


def histogram_counts(values: Array, edges: Array) -> list[int]:
    """Numbers of finite values in [edges[i], edges[i+1]); the last bin is closed."""
    return np.histogram(values[np.isfinite(values)], edges)[0].tolist()


def histogram_density(counts: Array, edges: Array) -> Array:
    """(bins,) share of all counts over the width of each bin; what a figure can draw, 1e300 at most."""
    with np.errstate(over="ignore"):
        return np.minimum(counts / max(1, counts.sum()) / np.diff(edges), 1e300)


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
