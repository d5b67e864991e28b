"""Distributions of nearest-neighbour distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


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


def summarise(distances: Array, quantiles: Sequence[float]) -> Summary:
    """Summary of a non-empty (m,) array of finite distances."""
    return Summary(
        mean=float(distances.mean()),
        median=float(np.median(distances)),
        std=float(distances.std()),
        min=float(distances.min()),
        max=float(distances.max()),
        quantiles={
            f"{q:g}": float(value) for q, value in zip(quantiles, np.quantile(distances, quantiles), strict=True)
        },
    )


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
