"""Z = 1, where Prop. 4's loss is least: which radius, how many patterns, which dimension.

All solve d · I_n(r) = 1 of eq. (13) for d equal disjoint balls, with the correct integral of eq. (12).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from service.errors import InvalidInput
from service.theory.ball_bounds import PRINTED_INTEGRAL_NOTE, printed_log_ball_integral
from service.theory.balls import asymptotic_unit_radius, log_ball_integral, radius_of_integral
from service.theory.domain import MAX_DIMENSION, check_patterns, shown

_PINNED_NOTE = (
    "Eq. (14): Z = 1 fixes the radius and hardly d, for d falls about as r^{−0.9n}; at n = 1024 a radius 0.3 % "
    "larger needs ten times fewer patterns."
)
_SIGN_NOTE = "Eq. (13): the solution is given as log d, which for most n is far beyond any data set."


def unit_partition_radius(n: float, d: float) -> float:
    """The r at which d equal balls have Z = d · I_n(r) = 1, eq. (13).

    It exists for every d ≥ 1, as I_n(∞) = π^{n/2} > 1.

    Raises:
        InvalidInput: n or d out of range.
    """
    check_patterns(d)
    return radius_of_integral(n, -math.log(d))


def unit_partition_log_patterns(n: float, r: float) -> float:
    """log d of the d at which d balls of radius r have Z = 1: −log I_n(r), ≥ 0.

    Raises:
        InvalidInput: n or r out of range, or a single ball of that radius has Z > 1 already.
    """
    log_d = -log_ball_integral(n, r)
    if log_d < 0:
        most = unit_partition_radius(n, 1)
        raise InvalidInput(f"r must be at most {most:.9g}, where one ball has Z = 1, not {shown(r)}", field="r")
    return log_d


def unit_partition_dimension(d: float) -> float:
    """The (real) n at which d balls of the paper's radius √(n/2πe) have Z = 1; about 2πe·log d.

    Raises:
        InvalidInput: d out of range, or below 2.11: then no n ≥ 1 has Z = 1 at that radius.
    """
    check_patterns(d)

    def log_partition(n: float) -> float:
        return math.log(d) + log_ball_integral(n, asymptotic_unit_radius(n))

    if log_partition(1.0) < 0:
        least = math.exp(-log_ball_integral(1, asymptotic_unit_radius(1)))
        raise InvalidInput(f"d must be at least {least:.3g} for a dimension n ≥ 1, not {shown(d)}", field="d")
    return dimension_root(log_partition)


def dimension_root(log_partition: Callable[[float], float]) -> float:
    """The n ≥ 1 at which a log Z that falls with n, and is not negative at n = 1, is 0."""
    # By halving: importing scipy.optimize for its root finders would cost the API 23 MiB.
    low, high = 1.0, float(MAX_DIMENSION)
    while low < (middle := math.sqrt(low * high)) < high:
        low, high = (low, middle) if log_partition(middle) < 0 else (middle, high)
    return low


def unit_partition_theory(n: int | None, d: int | None, r: float | None) -> dict[str, Any]:
    """Solve Z = 1 for the radius (n, d), the patterns (n, r), or the dimension at the radius √(n/2πe) (d).

    Raises:
        InvalidInput: another combination is given, or there is no solution.
    """
    notes = [_PINNED_NOTE, PRINTED_INTEGRAL_NOTE, _SIGN_NOTE]
    if n is not None and d is not None and r is None:
        literal = {"radius": asymptotic_unit_radius(n)}
        corrected = {"radius": unit_partition_radius(n, d)}
    elif n is not None and r is not None and d is None:
        literal = {"log_patterns": -printed_log_ball_integral(n, r)}
        corrected = {"log_patterns": unit_partition_log_patterns(n, r)}
    elif d is not None and n is None and r is None:
        check_patterns(d)
        literal = {"dimension": d * d / math.pi}
        corrected = {"dimension": unit_partition_dimension(d)}
    else:
        raise InvalidInput("give n and d, or n and r, or d alone", field="n")
    return {"paper_literal": literal, "corrected": corrected, "notes": notes}
