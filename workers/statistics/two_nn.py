"""TwoNN: the intrinsic dimension from the ratio of the distances to the first two neighbours (Facco et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workers.statistics.dimension_lists import DimensionLists, dimension_estimate, sums_without
from workers.statistics.estimate import Estimate

Array = np.ndarray
REGRESSION_SHARE = 0.9


@dataclass(frozen=True)
class TwoNN:
    """The dimension by μ = T_2/T_1.

    Attributes:
        estimate: maximum likelihood, with the document jackknife's error.
        regression: from the smaller nine tenths of the μ; None where there is none.
        row_standard_error: m/√N, as of independent rows, for comparison.
        n: number of rows.
    """

    estimate: Estimate
    regression: float | None
    row_standard_error: float | None
    n: int


def two_nn(lists: DimensionLists) -> TwoNN:
    """m = (N − 1) / Σ log μ: P(μ > t) = t^−m where the density is constant up to the second neighbour."""
    used, reason = (None, None) if lists.k < 2 else lists.long_enough(2)
    if used is None:
        return TwoNN(Estimate.missing(reason or "the lists have one neighbour only"), None, None, 0)
    log_mu = _log_mu(used.logs[:, :2])
    n, total = len(log_mu), float(log_mu.sum())
    value = (n - 1) / total if total > 0 else math.inf
    sums = sums_without(used, 2, lambda logs: np.stack([np.ones(len(logs)), _log_mu(logs)], axis=1))
    replicates = None if sums is None else _dimension(sums[:, 0], sums[:, 1])
    found = dimension_estimate(value, used, replicates)
    row_error = value / math.sqrt(n) if found.value is not None else None
    return TwoNN(found, _regression(log_mu), row_error, n)


def _log_mu(logs: Array) -> Array:
    return logs[:, 1] - logs[:, 0]


def _dimension(counts: Array, totals: Array) -> Array:
    return np.divide(counts - 1, totals, out=np.full(len(totals), np.nan), where=totals > 0)


def _regression(log_mu: Array) -> float | None:
    """Slope through 0 of −log(1 − F) on log μ, F = i/N, for the first ⌊.9 N⌋ of the sorted μ."""
    n = len(log_mu)
    used = int(REGRESSION_SHARE * n)
    x = np.sort(log_mu)[:used]
    y = -np.log1p(-np.arange(1, used + 1) / n)
    square = float(x @ x)
    return float(x @ y) / square if square > 0 else None
