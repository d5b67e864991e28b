"""The energies of section 4 as the paper writes them, in arithmetic of 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

DIGITS = 50
Array = np.ndarray


def squared(x: Array, y: Array) -> Any:
    """‖x − y‖²."""
    return mp.fsum((mp.mpf(float(a)) - mp.mpf(float(b))) ** 2 for a, b in zip(x, y, strict=True))


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


def energy_global(energies: list[float]) -> Any:
    """Eq. (7)."""
    with mp.workdps(DIGITS):
        least = min(mp.mpf(value) for value in energies)
        return least - mp.log(mp.fsum(mp.exp(least - mp.mpf(value)) for value in energies))


def _dot(x: Array, y: Array) -> Any:
    return mp.fsum(mp.mpf(float(a)) * mp.mpf(float(b)) for a, b in zip(x, y, strict=True))
