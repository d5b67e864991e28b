"""Units in which distances of different sets can be compared.

Σ is the covariance, divided by the number of rows N; n is the dimension of the rows, as in the paper. Two rows drawn
independently are √(2 trΣ) apart in the root mean square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.norms import row_norms
from workers.statistics.centring import Centre, RowBlocks
from workers.statistics.estimate import NO_NEIGHBORS

Array = np.ndarray
LARGEST_COORDINATES = 5
EQUAL_ROWS = "all rows are equal"
ZERO_ROWS = "all rows are 0"


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


def scale(blocks: RowBlocks, nn_mean: float | None) -> Scale:
    """The scale of at least one row, accumulated in float64.

    Args:
        blocks: called for each pass over the rows (`blocks_of`); gives (m, n) blocks of any floating type.
        nn_mean: mean nearest-neighbour distance; None where no row has a neighbour.
    """
    centre = Centre.of(blocks)
    products = centre.products(blocks)
    total = float(np.trace(products))
    norm_sum, squares = _norms(blocks, centre)
    total_variance, mean_norm = total / centre.count, norm_sum / centre.count  # in the unit
    found = None if nn_mean is None else nn_mean / centre.unit
    largest = np.sort(squares)[::-1][:LARGEST_COORDINATES]
    share = min(1.0, float(largest.sum() / squares.sum())) if norm_sum > 0 else None
    reasons = ((EQUAL_ROWS, total == 0), (ZERO_ROWS, share is None), (NO_NEIGHBORS, nn_mean is None))
    return Scale(
        total_variance=total_variance * centre.unit * centre.unit,
        participation_ratio=1 / float(((products / total) ** 2).sum()) if total > 0 else None,
        mean_norm=mean_norm * centre.unit,
        top5_share=share,
        nn_over_sqrt_2_total_variance=_ratio(found, math.sqrt(2 * total_variance)),
        nn_over_mean_norm=_ratio(found, mean_norm),
        nn_over_sqrt_n=_ratio(nn_mean, math.sqrt(len(centre.mean))),
        reason="; ".join(reason for reason, holds in reasons if holds) or None,
    )


def _norms(blocks: RowBlocks, centre: Centre) -> tuple[float, Array]:
    """Σ ‖x‖ and (n,) Σ x² by coordinate, in the unit."""
    norm_sum, squares = 0.0, np.zeros(len(centre.mean))
    for block in blocks():
        rows = np.asarray(block, dtype=np.float64) / centre.unit
        norm_sum += float(row_norms(rows).sum())
        squares += (rows**2).sum(axis=0)
    return norm_sum, squares


def _ratio(value: float | None, unit: float) -> float | None:
    return value / unit if value is not None and unit > 0 else None
