"""The volumes and integrals of balls, and Prop. 4, in arithmetic of 40 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp

DIGITS = 40


def log_volume(n: float, r: float) -> Any:
    """log of π^{n/2} r^n / Γ(n/2 + 1)."""
    with mp.workdps(DIGITS):
        a = mp.mpf(n) / 2
        return a * mp.log(mp.pi) - mp.loggamma(a + 1) + n * mp.log(mp.mpf(r))


def log_sphere_area(n: float) -> Any:
    """log of 2π^{n/2} / Γ(n/2)."""
    with mp.workdps(DIGITS):
        a = mp.mpf(n) / 2
        return mp.log(2) + a * mp.log(mp.pi) - mp.loggamma(a)


def log_integral(n: float, r: float) -> Any:
    """log of ∫_{‖y‖<r} exp(−‖y‖²) dy = π^{n/2} P(n/2, r²)."""
    with mp.workdps(DIGITS):
        a = mp.mpf(n) / 2
        return a * mp.log(mp.pi) + log_regularized(a, mp.mpf(r) ** 2)


def log_printed_integral(n: float, r: float) -> Any:
    """log of 2π^{n/2} γ(n, r)/Γ(n/2), as eq. (12) prints it."""
    with mp.workdps(DIGITS):
        return log_sphere_area(n) + mp.loggamma(n) + log_regularized(mp.mpf(n), mp.mpf(r))


def log_regularized(a: Any, x: Any) -> Any:
    """log P(a, x) (DLMF 8.7.1; 8.9 where that is slow)."""
    with mp.workdps(DIGITS):
        if x > a + 10 * mp.sqrt(a) + 60:
            return mp.log1p(-mp.gammainc(a, x, mp.inf, regularized=True))
        total = term = mp.mpf(1)
        k = 0
        while term > total * mp.mpf(10) ** -30:
            k += 1
            term *= x / (a + k)
            total += term
        return a * mp.log(x) - x - mp.loggamma(a + 1) + mp.log(total)


def loss(log_partition: float) -> Any:
    """log Z + 1/Z."""
    with mp.workdps(DIGITS):
        return mp.mpf(log_partition) + mp.exp(-mp.mpf(log_partition))


def density_loss(n: float, d: float, r: float) -> Any:
    """log ∫_Ω exp(−exp(−g)/Z) + 1/Z for d balls of radius r, by quadrature in v = −n log(‖y‖/r)."""
    with mp.workdps(DIGITS):
        inverse = mp.exp(-(log_integral(n, r) + mp.log(d)))
        x = mp.mpf(r) ** 2

        def integrand(v: Any) -> Any:
            return mp.exp(-v - inverse * (mp.exp(-x * mp.exp(-2 * v / n)) - mp.exp(-x)))

        ends = [0, *(mp.mpf(10) ** (mp.mpf(k) / 2) for k in range(-16, 5))]
        mean = mp.quad(integrand, ends)
        return mp.log(d) + log_volume(n, r) + mp.log(mean) - inverse * mp.expm1(-x)
