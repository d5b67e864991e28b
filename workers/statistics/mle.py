"""Levina and Bickel's maximum-likelihood dimension (2004), rows averaged as by MacKay and Ghahramani (2005)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workers.statistics.dimension_lists import DimensionLists, dimension_estimate, sums_without
from workers.statistics.estimate import Estimate

Array = np.ndarray
LENGTHS = (10, 20)


@dataclass(frozen=True)
class MaximumLikelihood:
    """The dimension by the k nearest neighbours of each of n rows."""

    k: int
    estimate: Estimate
    n: int


def maximum_likelihood(lists: DimensionLists, k: int) -> MaximumLikelihood:
    """m_k = 1 / mean_i [1/(k − 1) · Σ_{j<k} log(T_k/T_j)], k from 2 to the length of the lists.

    The mean is of the rows' inverses, which are sums of exponentials in theory: their mean, inverted, is the maximum of
    the joint likelihood, while the mean of the rows' own dimensions is biased upwards.
    """
    used, reason = lists.long_enough(k)
    if used is None:
        return MaximumLikelihood(k, Estimate.missing(reason or ""), 0)
    mean = float(_inverses(used.logs[:, :k]).mean())
    sums = sums_without(used, k, lambda logs: np.stack([np.ones(len(logs)), _inverses(logs)], axis=1))
    replicates = None if sums is None else _dimension(sums[:, 0], sums[:, 1])
    value = 1 / mean if mean > 0 else math.inf
    return MaximumLikelihood(k, dimension_estimate(value, used, replicates), len(used))


def _inverses(logs: Array) -> Array:
    k = logs.shape[1]
    return logs[:, -1] - logs[:, :-1].sum(axis=1) / (k - 1)


def _dimension(counts: Array, totals: Array) -> Array:
    return np.divide(counts, totals, out=np.full(len(totals), np.nan), where=totals > 0)
