"""Incomplete gamma functions in log space, where a double of the function itself would underflow.

γ(a, x) = ∫_0^x t^{a−1} e^{−t} dt = x^a e^{−x} S(a, x) / a with Kummer's S(a, x) = 1F1(1; a+1; x) ≥ 1.
P = γ/Γ(a), Q = 1 − P. Sources: DLMF 8.2, 8.5.1, 8.11.4, 13.2; 5.11 (Stirling).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammaln

_NEGLIGIBLE = -40.0  # log of a term that changes no sum that is at least 1
_TILE = 2**20  # terms held at once


def stirling_tail(a: float) -> float:
    """μ(a) = log Γ(a+1) − (a log a − a + ½ log 2πa), for a > 0: 1/(12a) − 1/(360a³) + … (DLMF 5.11.1)."""
    if a < 15:
        return float(gammaln(a + 1)) - (a * math.log(a) - a + 0.5 * math.log(2 * math.pi * a))
    # The difference above would lose what it is small against.
    inverse, inverse_sq = 1 / a, 1 / (a * a)
    return inverse * (1 / 12 - inverse_sq * (1 / 360 - inverse_sq * (1 / 1260 - inverse_sq / 1680)))


def log_gamma_integral(
    a: float, x: NDArray[np.float64], log_factor: NDArray[np.float64], log_whole: float
) -> NDArray[np.float64]:
    """log(C · γ(a, x)), for a whole array of x ≥ 0, shape (m,).

    The two forms of the constant C keep both regimes free of cancellation: `log_factor` = log(C x^a / a), shape (m,),
    is used with the series S; `log_whole` = log(C Γ(a)) with Q, beyond x = a + 1 + 3√a.
    """
    # scipy's gammainc is 0 here from a = 565 on, and hyp1f1 has errors of 2e-12 at a = 2^11, 2e-9 at 2^19.
    near = x < a + 1 + 3 * math.sqrt(a)
    found = np.empty_like(x)
    found[near] = log_factor[near] - x[near] + np.log(_kummer_series(a, x[near]))
    found[~near] = log_whole + np.log1p(-gammaincc(a, x[~near]))
    return found


def _kummer_series(a: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """S = Σ_{k≥0} x^k / ((a+1)…(a+k)): all terms are positive, a few √a of them count at worst."""
    if not len(x):
        return x
    terms = _terms(a, float(x.max()))
    denominators = a + np.arange(1.0, terms + 1)
    rows = max(1, _TILE // terms)
    parts = [
        np.cumprod(x[start : start + rows, None] / denominators, axis=1).sum(axis=1) for start in range(0, len(x), rows)
    ]
    return 1 + np.concatenate(parts)


def _terms(a: float, x: float) -> int:
    """A power of two of terms that is enough for every argument up to x."""
    terms = 16
    if x == 0:
        return terms
    while terms * math.log(x) + float(gammaln(a + 1) - gammaln(a + terms + 1)) > _NEGLIGIBLE:
        terms *= 2
    return terms
