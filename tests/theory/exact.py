"""The volumes and integrals of balls in arithmetic of 40 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp


def log_volume(n: int, r: float) -> Any:
    """log of π^{n/2} r^n / Γ(n/2 + 1)."""
    with mp.workdps(40):
        a = mp.mpf(n) / 2
        return a * mp.log(mp.pi) - mp.loggamma(a + 1) + n * mp.log(mp.mpf(r))


def log_integral(n: int, r: float) -> Any:
    """log of ∫_{‖y‖<r} exp(−‖y‖²) dy = π^{n/2} P(n/2, r²) (DLMF 8.7.1; 8.9 where that is slow)."""
    with mp.workdps(40):
        a, x = mp.mpf(n) / 2, mp.mpf(r) ** 2
        if x > a + 10 * mp.sqrt(a) + 60:
            return a * mp.log(mp.pi) + mp.log1p(-mp.gammainc(a, x, mp.inf, regularized=True))
        total = term = mp.mpf(1)
        k = 0
        while term > total * mp.mpf(10) ** -30:
            k += 1
            term *= x / (a + k)
            total += term
        return log_volume(n, r) - x + mp.log(total)
