"""Units in which distances of different sets can be compared.

Σ is the covariance, divided by the number of rows N; n is the dimension of the rows, as in the paper. Two rows drawn
independently are √(2 trΣ) apart in the root mean square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workers.statistics.estimate import NO_NEIGHBORS

Array = np.ndarray
EQUAL_ROWS = "all rows are equal"
ZERO_ROWS = "all rows are 0"
BEYOND = "the variance is outside the range of a double"


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
        reason: why values are None.
    """

    total_variance: float | None
    participation_ratio: float | None
    mean_norm: float
    top5_share: float | None
    nn_over_sqrt_2_total_variance: float | None
    nn_over_mean_norm: float | None
    nn_over_sqrt_n: float | None
    reason: str | None


def scale(deviations: Array, mean_norm: float, top5_share: float, n: int, nn_mean: float | None) -> Scale:
    """The scale of rows of n dimensions.

    Args:
        deviations: (rank,) √λ_i of the covariance, descending, as `principal_deviations` has them.
        mean_norm, top5_share: as `Scale`; the share is ignored where the norm is 0.
        nn_mean: mean nearest-neighbour distance; None where no row has a neighbour.
    """
    largest = float(deviations[0]) if len(deviations) else 0.0
    squares = (deviations / largest) ** 2 if largest > 0 else np.zeros(0)
    root = largest * math.sqrt(2 * float(squares.sum()))
    total = root * root / 2
    beyond = root > 0 and not (0 < total < math.inf)
    reasons = (
        (EQUAL_ROWS, root == 0), (ZERO_ROWS, mean_norm == 0), (NO_NEIGHBORS, nn_mean is None), (BEYOND, beyond),
    )  # fmt: skip
    return Scale(
        total_variance=None if beyond else total,
        participation_ratio=float(squares.sum() ** 2 / (squares**2).sum()) if root > 0 else None,
        mean_norm=mean_norm,
        top5_share=top5_share if mean_norm > 0 else None,
        nn_over_sqrt_2_total_variance=_ratio(nn_mean, root),
        nn_over_mean_norm=_ratio(nn_mean, mean_norm),
        nn_over_sqrt_n=_ratio(nn_mean, math.sqrt(n)),
        reason="; ".join(reason for reason, holds in reasons if holds) or None,
    )


def _ratio(value: float | None, unit: float) -> float | None:
    return value / unit if value is not None and unit > 0 else None
