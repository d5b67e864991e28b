"""Units in which distances of different sets can be compared.

Σ is the covariance, divided by the number of rows N; n is the dimension of the rows, as in the paper. Two rows drawn
independently are √(2 trΣ) apart in the root mean square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from service.norms import row_norms
from workers.statistics.estimate import NO_NEIGHBORS

Array = np.ndarray
RowBlocks = Callable[[], Iterable[Array]]
LARGEST_COORDINATES = 5
EQUAL_ROWS = "all rows are equal"
ZERO_ROWS = "all rows are 0"
_SMALL, _LARGE = 1e-100, 1e100
_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Scale:
    """Sizes of a set of rows, and its mean nearest-neighbour distance in units of them.

    Attributes:
        total_variance: trΣ.
        participation_ratio: (trΣ)²/tr(Σ²), from 1 to the rank of Σ; None where all rows are equal.
        mean_norm: mean of ‖x‖.
        top5_share: share of the summed squared norm in its five largest coordinates.
        nn_over_sqrt_2_total_variance, nn_over_mean_norm: None where the unit is 0 or no row has a neighbour.
        nn_over_sqrt_n: over √n, n the dimension.
        reason: of every value that is None.
    """

    total_variance: float
    participation_ratio: float | None
    mean_norm: float
    top5_share: float | None
    nn_over_sqrt_2_total_variance: float | None
    nn_over_mean_norm: float | None
    nn_over_sqrt_n: float | None
    reason: str | None


def blocks_of(rows: Array) -> RowBlocks:
    """The blocks of (N, n) rows in memory, or memory-mapped."""
    return lambda: (rows[start : start + _BLOCK_ROWS] for start in range(0, len(rows), _BLOCK_ROWS))


def scale(blocks: RowBlocks, nn_mean: float | None) -> Scale:
    """The scale of at least one row, accumulated in float64.

    Args:
        blocks: called twice, for a first pass over the rows (their mean) and a second one (about the mean); each time
            (m, n) blocks of all rows, of any floating type.
        nn_mean: mean nearest-neighbour distance; None where no row has a neighbour.
    """
    count, mean, unit = _first_pass(blocks)
    total, trace_sq, norm_sum, squares = _second_pass(blocks, count, mean, unit)
    total_variance, mean_norm = total / count, norm_sum / count  # of rows over the unit
    found = None if nn_mean is None else nn_mean / unit
    largest = np.sort(squares)[::-1][:LARGEST_COORDINATES]
    share = min(1.0, float(largest.sum() / squares.sum())) if norm_sum > 0 else None
    reasons = ((EQUAL_ROWS, total == 0), (ZERO_ROWS, share is None), (NO_NEIGHBORS, nn_mean is None))
    return Scale(
        total_variance=total_variance * unit * unit,
        participation_ratio=total * total / trace_sq if total > 0 else None,
        mean_norm=mean_norm * unit,
        top5_share=share,
        nn_over_sqrt_2_total_variance=_ratio(found, math.sqrt(2 * total_variance)),
        nn_over_mean_norm=_ratio(found, mean_norm),
        nn_over_sqrt_n=_ratio(nn_mean, math.sqrt(len(mean))),
        reason="; ".join(reason for reason, holds in reasons if holds) or None,
    )


def _first_pass(blocks: RowBlocks) -> tuple[int, Array, float]:
    """Number and mean of the rows, and 1 or a power of two near the largest element whose square leaves a double."""
    count, mean, low, high = 0, np.zeros(1), np.full(1, np.inf), np.full(1, -np.inf)
    for block in blocks():
        rows = np.asarray(block, dtype=np.float64)
        count += len(rows)
        mean = mean + (rows.mean(axis=0) - mean) * (len(rows) / count)
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
    mean = np.where(low == high, low, mean)  # so that a constant coordinate has no variance by rounding
    largest = float(np.maximum(-low, high).max())
    unit = 1.0 if largest == 0 or _SMALL < largest < _LARGE else 2.0 ** math.frexp(largest)[1]
    return count, mean, unit


def _second_pass(blocks: RowBlocks, count: int, mean: Array, unit: float) -> tuple[float, float, float, Array]:
    """Σ‖x − mean‖², tr of the square of the scatter matrix, Σ‖x‖ and (n,) Σx² by coordinate, of rows over the unit.

    Σ (x − m)(x − m)ᵀ and the (N, N) Gram matrix of the centred rows have the same trace and the same trace of the
    square; the smaller one is computed.
    """
    n = len(mean)
    norm_sum, squares, scatter = 0.0, np.zeros(n), np.zeros((n, n) if count > n else (0, 0))
    kept: list[Array] = []
    for block in blocks():
        rows = np.asarray(block, dtype=np.float64) / unit
        norm_sum += float(row_norms(rows).sum())
        squares += (rows**2).sum(axis=0)
        centred = rows - mean / unit
        if count > n:
            scatter += centred.T @ centred
        else:
            kept.append(centred)
    if kept:
        together = np.concatenate(kept)
        scatter = together @ together.T
    return float(np.trace(scatter)), float((scatter**2).sum()), norm_sum, squares


def _ratio(value: float | None, unit: float) -> float | None:
    return value / unit if value is not None and unit > 0 else None
