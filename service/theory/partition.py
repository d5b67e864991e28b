"""The partition function of a layer, eqs. (13) and (14): Z_t = Σ_i I_n(r_i) over its disjoint balls, in log space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from service.errors import InvalidInput
from service.theory.ball_bounds import (
    PRINTED_BOUND_NOTE,
    PRINTED_INTEGRAL_NOTE,
    ball_bounds,
    printed_log_ball_integral,
    printed_log_ball_integrals,
)
from service.theory.balls import log_ball_integral, log_ball_integrals, radius_of_integral
from service.theory.domain import check_patterns, check_radii

CELL_NOTE = (
    "Eq. (13): the third equality needs each ball inside its pattern's Voronoi cell, which r_i ≤ half the distance to "
    "the nearest pattern ensures and disjointness alone does not."
)
SHARE_NOTE = (
    "Eq. (14): Z_t grows as a high power of the radius, so it rests on the largest balls, and the radius of a typical "
    "ball does not give it."
)
_SUM_NOTE = "Eq. (13): the sum runs to d_t, the layer's own patterns, not to d; here d is the number of those summed."
_EXPONENT_NOTE = "Eq. (14): with the lower bound mended, exp(√(n/2πe)) reads exp(n/2πe)."
_NOTES = [PRINTED_INTEGRAL_NOTE, PRINTED_BOUND_NOTE, _SUM_NOTE, CELL_NOTE, _EXPONENT_NOTE]


@dataclass(frozen=True)
class Partition:
    """Z_t of balls of different radii, shape (d,), and how evenly the balls share it."""

    log_partition: float  # log Z_t
    weights: NDArray[np.float64]  # w_i = I_n(r_i) / Z_t, sum 1
    effective_balls: float  # 1 / Σ w_i², from 1 to d
    largest_share: float  # max w_i
    equivalent_radius: float  # d balls of this one radius have the same Z_t


def log_partition(n: float, d: float, r: float) -> float:
    """log Z_t = log d + log I_n(r): d equal balls of radius r, eq. (13).

    Raises:
        InvalidInput: n, d or r out of range.
    """
    check_patterns(d)
    return math.log(d) + log_ball_integral(n, r)


def partition_of_radii(n: float, radii: NDArray[np.float64]) -> Partition:
    """Z_t of balls with the given radii, shape (d,), eq. (13); a radius of 0 (a duplicate) adds nothing.

    In high dimension a few of the largest balls carry all of Z_t: it is no mean over "typical" balls.

    Raises:
        InvalidInput: n or a radius out of range, or no radius is positive.
    """
    values = check_radii(radii)
    if not values.any():
        raise InvalidInput("radii must not all be 0", field="radii")
    logs = log_ball_integrals(n, values)
    total = np.asarray(logsumexp(logs)).item()
    weights = np.exp(logs - total)
    return Partition(
        log_partition=total,
        weights=weights,
        effective_balls=float(1 / np.sum(weights**2)),
        largest_share=float(weights.max()),
        equivalent_radius=_equivalent_radius(n, values, total - math.log(len(values))),
    )


def partition_theory(n: int, d: int, r: float) -> dict[str, Any]:
    """log Z_t of d equal balls and its bounds, (13) and (14), as printed and as they should read.

    Raises:
        InvalidInput: n, d or r out of range.
    """
    check_patterns(d)
    log_d, bounds, printed = math.log(d), ball_bounds(n, r), printed_log_ball_integral(n, r)
    log_integral = log_ball_integral(n, r)
    return {
        "paper_literal": {
            "log_ball_integral": printed,
            "log_partition": log_d + printed,
            "log_lower": log_d + bounds.log_printed_lower,
            "log_upper": log_d + bounds.log_volume,
        },
        "corrected": {
            "log_volume": bounds.log_volume,
            "log_ball_integral": log_integral,
            "log_partition": log_d + log_integral,
            "log_lower": log_d + bounds.log_lower,
            "log_upper": log_d + bounds.log_upper,
        },
        "notes": _NOTES,
    }


def partition_of_radii_theory(n: int, radii: NDArray[np.float64]) -> dict[str, Any]:
    """log Z_t of balls of given radii, as printed and correct, and how many balls it really rests on.

    Raises:
        InvalidInput: n or a radius out of range, or no radius is positive.
    """
    found = partition_of_radii(n, radii)
    return {
        "paper_literal": {"log_partition": np.asarray(logsumexp(printed_log_ball_integrals(n, radii))).item()},
        "corrected": {
            "log_partition": found.log_partition,
            "effective_balls": found.effective_balls,
            "largest_share": found.largest_share,
            "equivalent_radius": found.equivalent_radius,
        },
        "notes": [PRINTED_INTEGRAL_NOTE, CELL_NOTE, SHARE_NOTE],
    }


def _equivalent_radius(n: float, radii: NDArray[np.float64], log_mean: float) -> float:
    """The radius whose integral is the mean; the largest radius where all integrals are the whole space's."""
    largest = float(radii.max())
    if not log_mean < log_ball_integral(n, largest):
        return largest
    return min(largest, radius_of_integral(n, log_mean))
