"""Distributions of nearest-neighbour distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
_SMALL, _LARGE = 1e-100, 1e100


@dataclass(frozen=True)
class Summary:
    """Mean, median, population standard deviation, extremes and quantiles (interpolated linearly)."""

    mean: float
    median: float
    std: float
    min: float
    max: float
    quantiles: dict[str, float]


@dataclass(frozen=True)
class NearestStatistics:
    """Statistics of the nearest-neighbour distances of one prefix.

    Attributes:
        all: summary including zeros; None when no row has a neighbour.
        distinct: summary without rows at distance 0; None when no other row has a neighbour.
        duplicates: number of rows at distance 0 from another row.
        alone: number of rows that have no admissible other row.
    """

    all: Summary | None
    distinct: Summary | None
    duplicates: int
    alone: int


def summarise(values: Array, quantiles: Sequence[float]) -> Summary:
    """Summary of a non-empty (m,) array of finite values.

    Values whose squares would leave the range of float64 are scaled by a power of two, which changes no digit.
    """
    largest = float(np.abs(values).max())
    exponent = 0 if _SMALL < largest < _LARGE else math.frexp(largest)[1]
    scaled = np.ldexp(values, -exponent) if exponent else values
    found = (scaled.mean(), np.median(scaled), scaled.std(), scaled.min(), scaled.max())
    mean, median, std, least, most, *rest = (
        math.ldexp(float(value), exponent) for value in (*found, *np.quantile(scaled, quantiles))
    )
    named = {f"{q:g}": value for q, value in zip(quantiles, rest, strict=True)}
    return Summary(mean, median, std, least, most, named)


def nearest_statistics(distances: Array, quantiles: Sequence[float]) -> NearestStatistics:
    """Statistics of (m,) nearest-neighbour distances; inf marks a row without neighbour."""
    found = distances[np.isfinite(distances)]
    distinct = found[found > 0]
    return NearestStatistics(
        all=summarise(found, quantiles) if len(found) else None,
        distinct=summarise(distinct, quantiles) if len(distinct) else None,
        duplicates=len(found) - len(distinct),
        alone=len(distances) - len(found),
    )
