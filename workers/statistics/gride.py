"""Gride: the intrinsic dimension from μ = T_2k/T_k, at the scale that k sets (Denti et al. 2022).

With l = log μ the derivative of the log-likelihood in d is

    g(d) = (N − 1)/d + (k − 1) Σ l/(1 − e^{−d·l}) − (2k − 1) Σ l,

N − 1 in place of N as DADApy has it, so that k = 1 is TwoNN. g falls from ∞ to −k Σ l: its root is unique.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar

from workers.statistics.dimension_lists import DimensionLists, dimension_estimate, sums_without
from workers.statistics.estimate import Estimate

Array = np.ndarray
SCALES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Gride:
    """The dimension by the ratio of the distances to the 2k-th and the k-th neighbour of each of n rows.

    Attributes:
        scale: mean of T_2k; None where there is no value.
    """

    k: int
    estimate: Estimate
    scale: float | None
    n: int


def gride(lists: DimensionLists, k: int) -> Gride:
    """The root of g, and the document jackknife's error; 2k up to the length of the lists.

    A replicate is one Newton step in 1/d from the root with all documents, g and its derivative without one document:
    exact for k = 1, where g is linear in 1/d, and otherwise up to the square of the change, which is of order 1/U².
    """
    used, reason = lists.long_enough(2 * k)
    if used is None:
        return Gride(k, Estimate.missing(reason or ""), None, 0)
    value = _root(_log_mu(used.logs[:, : 2 * k]), k)
    replicates = _replicates(used, k, value) if math.isfinite(value) else None
    scale = float(np.exp(used.logs[:, 2 * k - 1]).mean())
    return Gride(k, dimension_estimate(value, used, replicates), scale, len(used))


def _log_mu(logs: Array) -> Array:
    return logs[:, -1] - logs[:, logs.shape[1] // 2 - 1]


def _root(log_mu: Array, k: int) -> float:
    """The d with g(d) = 0; inf where no μ is above 1, or for a single row."""
    n, total = len(log_mu), float(log_mu.sum())
    if n < 2 or total <= 0:
        return math.inf

    def g(log_d: float) -> float:
        d = math.exp(log_d)
        return ((n - 1) / d + (k - 1) * float(_ratio(log_mu, d).sum()) - (2 * k - 1) * total) / total

    # l/(1 − e^{−d·l}) lies between max(1/d, l) and 1/d + l, which gives a bracket of the root.
    low, high = (n - 1) / (2 * k * total), (n - 1 + (k - 1) * n) / (k * total)
    return math.exp(root_scalar(g, bracket=(math.log(low) - 1, math.log(high) + 1), method="brentq", xtol=1e-14).root)


def _replicates(lists: DimensionLists, k: int, d: float) -> Array | None:
    """(U,) the dimension without each document by one Newton step."""

    def terms(logs: Array) -> Array:
        log_mu = _log_mu(logs)
        ratio = _ratio(log_mu, d)
        score = (k - 1) * ratio - (2 * k - 1) * log_mu
        return np.stack([np.ones(len(logs)), score, (k - 1) * _slope(log_mu, d)], axis=1)

    sums = sums_without(lists, 2 * k, terms)
    if sums is None:
        return None
    counts, scores, slopes = sums.T
    g = (counts - 1) / d + scores
    slope = (counts - 1) + d * d * slopes  # of g in 1/d
    inverse = 1 / d - np.divide(g, slope, out=np.full(len(g), np.nan), where=slope > 0)
    return np.divide(1.0, inverse, out=np.full(len(g), np.nan), where=inverse > 0)


def _ratio(log_mu: Array, d: float) -> Array:
    """l/(1 − e^{−d·l}); 1/d at l = 0."""
    positive = log_mu > 0
    return np.divide(log_mu, -np.expm1(-d * log_mu), out=np.full(len(log_mu), 1 / d), where=positive)


def _slope(log_mu: Array, d: float) -> Array:
    """−∂/∂d of `_ratio`: l² e^{−d·l}/(1 − e^{−d·l})²; 1/d² at l = 0."""
    return _ratio(log_mu, d) ** 2 * np.exp(-d * log_mu)
