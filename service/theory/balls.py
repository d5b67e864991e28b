"""Balls in R^n, in log space, for n from 1 to beyond 2^20. `n` is the dimension, `d` the number of patterns.

Symbols of the paper: V_n(r) volume of the ball of radius r; I_n(r) = ∫_{‖y‖<r} exp(−‖y‖²) dy, eq. (12).
All logarithms are natural. Sources: DLMF 5.11 (Stirling), 8.7 and 8.9 (incomplete gamma), 13.2 (Kummer's 1F1).
"""

from __future__ import annotations

import math

from scipy.special import gammaln

from service.errors import InvalidInput


def asymptotic_unit_radius(n: int) -> float:
    """√(n / 2πe), the paper's radius of unit volume (section 5.3): Stirling's leading term only."""
    return math.sqrt(n / (2 * math.pi * math.e))


def log_ball_volume(n: int, r: float) -> float:
    """log V_n(r) = a log(2πe r²/n) − ½ log(πn) − μ(a), a = n/2: no cancellation near unit volume."""
    a = n / 2
    return a * math.log(2 * math.pi * math.e * r * r / n) - 0.5 * math.log(math.pi * n) - _stirling_tail(a)


def unit_volume_radius(n: int) -> float:
    """The r with V_n(r) = 1, exactly: √(n/2πe) · exp((½ log(πn) + μ(n/2)) / n)."""
    return asymptotic_unit_radius(n) * math.exp((0.5 * math.log(math.pi * n) + _stirling_tail(n / 2)) / n)


def log_ball_integral(n: int, r: float) -> float:
    """log I_n(r) = log(π^{n/2} P(n/2, r²)): eq. (12) as it should read.

    By the series V_n(r) e^{−x} Σ x^k / ((a+1)…(a+k)), x = r², a = n/2, all terms positive; beyond its reach
    (x > a + 1 + 3√a), by the continued fraction of Q = 1 − P.
    """
    a, x = n / 2, r * r
    if x < a + 1 + 3 * math.sqrt(a):
        return log_ball_volume(n, r) - x + math.log(_series(a, x))
    return a * math.log(math.pi) + math.log1p(-math.exp(_log_upper_gamma_ratio(a, x)))


def unit_partition_radius(n: int, d: int) -> float:
    """The r at which d equal balls have Z = d · I_n(r) = 1, eq. (13), by Newton in log r.

    d log I / d log r = n / S, S the series above. I_n increases, so the root is unique; it exists for every d ≥ 1
    as I_n(∞) = π^{n/2} > 1.
    """
    if d < 1:
        raise InvalidInput("d must be at least 1", field="d")
    log_r = math.log(unit_volume_radius(n)) - math.log(d) / n
    for _ in range(200):
        r = math.exp(log_r)
        slope = n / _series(n / 2, r * r) if r * r < n / 2 + 1 + 3 * math.sqrt(n / 2) else 1.0
        step = (log_ball_integral(n, r) + math.log(d)) / slope
        log_r -= max(-1.0, min(1.0, step))
        if abs(step) < 4e-16 * max(1.0, abs(log_r)):
            break
    return math.exp(log_r)


def _stirling_tail(a: float) -> float:
    """μ(a) = log Γ(a+1) − (a log a − a + ½ log 2πa)."""
    if a < 15:
        return float(gammaln(a + 1)) - (a * math.log(a) - a + 0.5 * math.log(2 * math.pi * a))
    inverse, inverse_sq = 1 / a, 1 / (a * a)
    return inverse * (1 / 12 - inverse_sq * (1 / 360 - inverse_sq * (1 / 1260 - inverse_sq / 1680)))


def _series(a: float, x: float) -> float:
    """S = Σ_{k≥0} x^k / ((a+1)…(a+k)) = 1F1(1; a+1; x)."""
    total = term = 1.0
    k = 0
    while term > total * 1e-17:
        k += 1
        term *= x / (a + k)
        total += term
    return total


def _log_upper_gamma_ratio(a: float, x: float) -> float:
    """log Q(a, x) = log(Γ(a, x)/Γ(a)) by Lentz's continued fraction, for x > a + 1."""
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100_000):
        numerator = -i * (i - a)
        b += 2
        d = 1 / (numerator * d + b or tiny)
        c = b + numerator / c or tiny
        h *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return a * math.log(x) - x - float(gammaln(a)) + math.log(h)
