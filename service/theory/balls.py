"""Balls in R^n, in log space, for n from 1 to 2^36. `n` is the dimension, `r` a radius; all logarithms are natural.

Symbols of the paper: V_n(r) volume of the ball of radius r; A_{n−1} area of the unit sphere;
I_n(r) = ∫_{‖y‖<r} exp(−‖y‖²) dy, eq. (12). Sources: DLMF 5.19.4 (volumes), 8.2 (incomplete gamma).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidInput
from service.theory.domain import check_dimension, check_radii, check_radius, shown
from service.theory.incomplete_gamma import log_gamma_integral, stirling_tail


def asymptotic_unit_radius(n: float) -> float:
    """√(n / 2πe), the paper's radius of unit volume (section 5.3): Stirling's leading term only."""
    check_dimension(n)
    return math.sqrt(n / (2 * math.pi * math.e))


def unit_volume_radius(n: float) -> float:
    """The r with V_n(r) = 1, exactly: √(n/2πe) · exp((½ log(πn) + μ(n/2)) / n), μ Stirling's remainder."""
    return asymptotic_unit_radius(n) * math.exp((0.5 * math.log(math.pi * n) + stirling_tail(n / 2)) / n)


def log_ball_volume(n: float, r: float) -> float:
    """log V_n(r) = n log(r / √(n/2πe)) − ½ log(πn) − μ(n/2), of V_n(r) = π^{n/2} r^n / Γ(1 + n/2).

    Raises:
        InvalidInput: n or r out of range (`service.theory.domain`); as for all functions here.
    """
    check_radius(r)
    return float(log_ball_volumes(n, np.array([r]))[0])


def log_ball_volumes(n: float, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """`log_ball_volume` of many positive radii, shape (m,)."""
    # Near unit volume the first logarithm is of about 1; n/2·log π + n log r − log Γ would cancel there.
    return n * np.log(radii / asymptotic_unit_radius(n)) - 0.5 * math.log(math.pi * n) - stirling_tail(n / 2)


def log_sphere_area(n: float) -> float:
    """log A_{n−1} = log(2 π^{n/2} / Γ(n/2)) = log(n V_n(1)), the area of the unit sphere in R^n."""
    check_dimension(n)
    return math.log(n) + log_ball_volume(n, 1.0)


def log_ball_integral(n: float, r: float) -> float:
    """log I_n(r) = log(π^{n/2} P(n/2, r²)): eq. (12) as it should read.

    I_n(r) = V_n(r) e^{−r²} 1F1(1; n/2+1; r²). Error against 40 digits: ≤ 1e-12 relative or ≤ 1e-9 absolute at n = 2^20.
    """
    check_radius(r)
    return float(log_ball_integrals(n, np.array([r]))[0])


def log_ball_integrals(n: float, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """`log_ball_integral` of many radii, shape (m,); a radius of 0, which a duplicate has, gives −∞.

    Raises:
        InvalidInput: a radius is negative, not finite or above 10^150.
    """
    check_dimension(n)
    values = check_radii(radii)
    positive = values > 0
    r = values[positive]
    found = np.full(values.shape, -np.inf)
    found[positive] = log_gamma_integral(n / 2, r * r, log_ball_volumes(n, r), n / 2 * math.log(math.pi))
    return found


def radius_of_integral(n: float, log_integral: float) -> float:
    """The r with log I_n(r) = `log_integral`, by Newton in log r.

    d log I / d log r = n V e^{−r²} / I falls as r grows, so from a start below the root, where V = I would hold, every
    step stays below it: no bracket is needed. I_n increases, so the root is unique.

    Raises:
        InvalidInput: `log_integral` is not below log I_n(∞) = (n/2) log π, or its radius is below 1e-150.
    """
    check_dimension(n)
    whole = n / 2 * math.log(math.pi)
    if not log_integral < whole:
        wanted = shown(log_integral)
        raise InvalidInput(f"log_integral must be below (n/2) log π = {whole:.9g}, not {wanted}", field="log_integral")
    log_r = math.log(unit_volume_radius(n)) + log_integral / n
    if log_r < math.log(1e-150):
        raise InvalidInput(f"log_integral {shown(log_integral)} has a radius below 1e-150", field="log_integral")
    for _ in range(200):
        r = math.exp(log_r)
        found = log_ball_integral(n, r)
        slope = n * math.exp(log_ball_volume(n, r) - r * r - found)
        if slope == 0:  # the integral is the whole space's, to the last digit
            break
        step = (log_integral - found) / slope
        log_r += step
        if abs(step) < 4e-16 * max(1.0, abs(log_r)):
            break
    return math.exp(log_r)
