"""Rigorous rounding bounds of a computed distance (Higham 2002, sections 3.1 and 3.5).

A filter computes s = fl(‖x'‖² + ‖y'‖² − 2 x'·y'), or the sum of squared differences, in a format of unit roundoff u,
where x', y' are x, y rounded to that format. With γ = (d + 4) u / (1 − (d + 4) u), in any order of summation,

    |s − ‖x' − y'‖²| ≤ γ (‖x‖ + ‖y‖)²      and      |‖x' − y'‖ − ‖x − y‖| ≤ u (‖x‖ + ‖y‖).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class FilterBound:
    """Bounds for vectors of `d` dimensions filtered in a format of unit roundoff `unit`.

    The norms are those of the exact (centred) vectors, scaled to at most 1; `underflow` bounds the error from numbers
    below the smallest normal number.
    """

    d: int
    unit: float
    underflow: float

    @property
    def gamma(self) -> float:
        terms = (self.d + 4) * self.unit
        return 1.01 * terms / (1 - terms) if terms < 0.5 else math.inf

    def lower(self, filtered_sq: Array, norms_sum: Array) -> Array:
        """A lower bound on the true distance of pairs whose squared filter distance is at least `filtered_sq`."""
        floor_sq = filtered_sq - self.gamma * norms_sum**2 - self.underflow
        return np.sqrt(np.maximum(floor_sq, 0.0)) - 1.01 * self.unit * norms_sum


def float32_bound(d: int) -> FilterBound:
    """The bound for a float32 filter."""
    return FilterBound(d, 2.0**-24, 2.0**-100)


def float64_bound(d: int) -> FilterBound:
    """The bound for a float64 filter."""
    return FilterBound(d, 2.0**-53, 2.0**-1000)
