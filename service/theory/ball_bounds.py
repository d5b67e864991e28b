"""The ball integral (12) as the paper prints it, and the bounds of it: printed and correct.

The paper puts 2π^{n/2} γ(n, r)/Γ(n/2) for I_n(r) = ∫_{‖y‖<r} exp(−‖y‖²) dy; with t² = u the inner integral is
½ γ(n/2, r²), so the printed expression is another function. Lemma 5 holds for γ(n, r), not for I_n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from service.theory.balls import (
    log_ball_integral,
    log_ball_volume,
    log_ball_volumes,
    log_sphere_area,
    unit_volume_radius,
)
from service.theory.domain import check_dimension, check_radii, check_radius
from service.theory.incomplete_gamma import log_gamma_integral

PRINTED_INTEGRAL_NOTE = (
    "Eq. (12): the last step is 2π^{n/2}·½γ(n/2, r²)/Γ(n/2) = π^{n/2}P(n/2, r²); the printed γ(n, r) is another "
    "function."
)
PRINTED_BOUND_NOTE = (
    "Lemma 5 and the display above (14): the lower bound of the integral is e^{−r²}V_n(r), not e^{−r}V_n(r), which is "
    "above the integral for some r whenever n ≥ 3."
)
_BOUNDS_NOTE = (
    "Eq. (12): V_n(r)e^{−nr²/(n+2)} ≤ I_n(r) by Jensen's inequality, and I_n(r) ≤ V_n(r)e^{−r²}/(1 − r²/(n/2+1)) by a "
    "geometric series while r² < n/2 + 1. "
)
_VIOLATED_NOTE = "Display above (14): at this n and r the printed lower bound e^{−r}V_n(r) exceeds the integral."


@dataclass(frozen=True)
class BallBounds:
    """Bounds of log I_n(r) as logarithms; `log_lower` and `log_upper` are the tightest correct ones."""

    log_volume: float  # V_n(r), the upper bound of both
    log_printed_lower: float  # e^{−r} V_n(r), which is none for I_n
    log_lemma_5: float  # e^{−r²} V_n(r)
    log_jensen: float  # e^{−n r²/(n+2)} V_n(r)
    log_geometric: float | None  # e^{−r²} V_n(r) / (1 − r²/(n/2+1)); None for r² ≥ n/2 + 1
    log_whole_space: float  # π^{n/2}

    @property
    def log_lower(self) -> float:
        """Jensen's: exp is convex, and the mean of ‖y‖² over the ball is n r²/(n+2)."""
        return self.log_jensen

    @property
    def log_upper(self) -> float:
        """The least of the volume, the whole space and, where it exists, the geometric bound."""
        bounds = (self.log_volume, self.log_whole_space, self.log_geometric)
        return min(bound for bound in bounds if bound is not None)


def ball_bounds(n: float, r: float) -> BallBounds:
    """The bounds of I_n(r), eq. (12).

    Raises:
        InvalidInput: n or r out of range.
    """
    log_volume, x, a = log_ball_volume(n, r), r * r, n / 2
    geometric = log_volume - x - math.log1p(-x / (a + 1)) if x < a + 1 else None
    return BallBounds(
        log_volume=log_volume,
        log_printed_lower=log_volume - r,
        log_lemma_5=log_volume - x,
        log_jensen=log_volume - n / (n + 2) * x,
        log_geometric=geometric,
        log_whole_space=a * math.log(math.pi),
    )


def printed_log_ball_integral(n: float, r: float) -> float:
    """log(2π^{n/2} γ(n, r)/Γ(n/2)), the right side of eq. (12) as printed; for comparison only.

    It is n V_n(r) γ(n, r)/r^n = V_n(r) e^{−r} 1F1(1; n+1; r), and tends to 2π^{n/2} Γ(n)/Γ(n/2).
    """
    check_radius(r)
    return float(printed_log_ball_integrals(n, np.array([r]))[0])


def printed_log_ball_integrals(n: float, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """`printed_log_ball_integral` of many radii, shape (m,); a radius of 0 gives −∞."""
    check_dimension(n)
    values = check_radii(radii)
    positive = values > 0
    r = values[positive]
    # Γ(n)/Γ(n/2) = 2^{n−1} Γ((n+1)/2)/√π: the difference of two larger logarithms would cost a digit.
    log_whole = n * math.log(2) + (n - 1) / 2 * math.log(math.pi) + float(gammaln((n + 1) / 2))
    found = np.full(values.shape, -np.inf)
    found[positive] = log_gamma_integral(n, r, log_ball_volumes(n, r), log_whole)
    return found


def balls_theory(n: int, r: float) -> dict[str, Any]:
    """Volume, area, integral (12) and all bounds for one ball, as logarithms."""
    bounds = ball_bounds(n, r)
    log_integral = log_ball_integral(n, r)
    ours, lemma = bounds.log_upper - bounds.log_lower, bounds.log_volume - bounds.log_lemma_5
    width = f"Here the tightest enclose the integral within {ours:.3g} nats, those of Lemma 5 within {lemma:.3g}."
    notes = [PRINTED_INTEGRAL_NOTE, PRINTED_BOUND_NOTE, _BOUNDS_NOTE + width]
    return {
        "n": n,
        "r": r,
        "paper_literal": {
            "log_volume": bounds.log_volume,
            "log_sphere_area": log_sphere_area(n),
            "log_ball_integral": printed_log_ball_integral(n, r),
            "log_lower": bounds.log_printed_lower,
            "log_upper": bounds.log_volume,
        },
        "corrected": {
            "log_volume": bounds.log_volume,
            "log_sphere_area": log_sphere_area(n),
            "log_ball_integral": log_integral,
            "log_lower": bounds.log_lower,
            "log_upper": bounds.log_upper,
            "log_lemma_5": bounds.log_lemma_5,
            "log_jensen": bounds.log_jensen,
            "log_geometric": bounds.log_geometric,
            "unit_volume_radius": unit_volume_radius(n),
        },
        "notes": [*notes, _VIOLATED_NOTE] if bounds.log_printed_lower > log_integral else notes,
    }
