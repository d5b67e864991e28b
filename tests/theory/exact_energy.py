"""The energies of section 4 as the paper writes them, in arithmetic of 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

from service.theory.energy import Kind

DIGITS = 50
Array = np.ndarray


def squared(x: Array, y: Array) -> Any:
    """‖x − y‖², summed in whole numbers."""
    (xs, ys), bottom = _whole(x, y)
    return mp.mpf(sum((a - b) ** 2 for a, b in zip(xs, ys, strict=True))) / bottom**2


def g(patterns: Array, x: Array) -> Any:
    """Eq. (3)."""
    with mp.workdps(DIGITS):
        return min(squared(x, pattern) for pattern in patterns)


def energy(patterns: Array, x: Array, beta: float) -> Any:
    """Eq. (4) with an inverse temperature."""
    with mp.workdps(DIGITS):
        values = [squared(x, pattern) for pattern in patterns]
        least, scale = min(values), mp.mpf(beta)
        return least - mp.log(mp.fsum(mp.exp(-scale * (value - least)) for value in values)) / scale


def energy_mchn(patterns: Array, x: Array, beta: float) -> Any:
    """−β⁻¹ log Σ exp(β ρᵀx) + ½xᵀx + β⁻¹ log d + ½ max‖ρ‖²."""
    with mp.workdps(DIGITS):
        scale = mp.mpf(beta)
        scores = [scale * _dot(pattern, x) for pattern in patterns]
        most = max(scores)
        soft = (most + mp.log(mp.fsum(mp.exp(score - most) for score in scores))) / scale
        longest = max(_dot(pattern, pattern) for pattern in patterns)
        return -soft + _dot(x, x) / 2 + mp.log(len(patterns)) / scale + longest / 2


def weights(patterns: Array, x: Array, beta: float, kind: Kind) -> list[Any]:
    """softmax(−β‖x − ρ‖²) of eq. (4), softmax(β ρᵀx) of E_MCHN."""
    with mp.workdps(DIGITS):
        values = [-squared(x, pattern) if kind == "energy" else _dot(pattern, x) for pattern in patterns]
        most, scale = max(values), mp.mpf(beta)
        shares = [mp.exp(scale * (value - most)) for value in values]
        total = mp.fsum(shares)
        return [share / total for share in shares]


def entropy(shares: list[Any]) -> Any:
    """−Σ w log w."""
    with mp.workdps(DIGITS):
        return -mp.fsum(share * mp.log(share) for share in shares if share > 0)


def gradient(patterns: Array, x: Array, shares: list[Any], kind: Kind) -> list[Any]:
    """2(x − Σ p_i ρ_i) of eq. (4), x − Σ p_i ρ_i of E_MCHN."""
    with mp.workdps(DIGITS):
        factor = 2 if kind == "energy" else 1
        mean = [mp.fdot(shares, map(float, column)) for column in patterns.T]
        return [factor * (mp.mpf(float(a)) - b) for a, b in zip(x, mean, strict=True)]


def spread(patterns: Array) -> Any:
    """max ‖ρ‖² − min ‖ρ‖²."""
    with mp.workdps(DIGITS):
        norms_sq = [_dot(pattern, pattern) for pattern in patterns]
        return max(norms_sq) - min(norms_sq)


def energy_global(energies: list[float]) -> Any:
    """Eq. (7)."""
    with mp.workdps(DIGITS):
        least = min(mp.mpf(value) for value in energies)
        return least - mp.log(mp.fsum(mp.exp(least - mp.mpf(value)) for value in energies))


def _dot(x: Array, y: Array) -> Any:
    (xs, ys), bottom = _whole(x, y)
    return mp.mpf(sum(a * b for a, b in zip(xs, ys, strict=True))) / bottom**2


def _whole(*rows: Array) -> tuple[list[list[int]], int]:
    """The rows times a power of 2 that makes every number whole, and that power."""
    ratios = [[number.as_integer_ratio() for number in row.tolist()] for row in rows]
    bottom = max(below for row in ratios for _, below in row)
    return [[above * (bottom // below) for above, below in row] for row in ratios], bottom
