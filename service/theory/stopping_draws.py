"""Draws of the MSE of measured runs, and where they cross σ²: the intervals of Table 3 come from them.

A cell of n ≥ 2 runs is drawn as m·exp(e/m · t_{n−1}): m the mean of their MSE, e its standard error over the runs, t a
Student variable. A cell of one run is drawn the same way with the error of its window, of `BLOCKS` means, which does
not include the spread between seeds. Where the MSE of a seed is lognormal with σ = 0.1 to 0.5, the 95 % interval of D*
contained the true D* in 95 to 98 % of 400 tables of 3, 5 and 10 seeds, that of the exponent in 97 to 100 %. The
intervals are wide, and very wide for two seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from service.theory.stopping import BLOCKS

Array = np.ndarray
Source = Literal["seeds", "window"]
DRAWS = 2000
_INTERVAL = (2.5, 97.5)
_LEAST_MSE, _MOST_EXPONENT = 1e-9, 40.0  # far outside of any table, and no infinity
_ENOUGH = 0.95  # of the draws must have a D*, else an interval would leave out those without


@dataclass(frozen=True)
class MeasuredCell:
    """The runs of one (N, D): an MSE and its standard error for each seed that has one; without any it is a gap."""

    tokens: float
    errors_sq: tuple[float, ...]
    standard_errors: tuple[float | None, ...]

    @property
    def mse(self) -> float | None:
        """Mean over seeds; None where none was measured."""
        return float(np.mean(self.errors_sq)) if self.errors_sq else None

    def draw(self, generator: np.random.Generator) -> Array:
        """(draws,) drawn MSE; NaN where the MSE or its error is not known."""
        mean, (error, freedom) = max(self.mse or 0.0, _LEAST_MSE), self._error()
        if error is None:
            return np.full(DRAWS, np.nan)
        exponent = error / mean * generator.standard_t(freedom, DRAWS)
        return mean * np.exp(np.clip(exponent, -_MOST_EXPONENT, _MOST_EXPONENT))

    @property
    def interval(self) -> list[float] | None:
        """95 % interval of the MSE, that of the draws; None where the MSE or its error is not known."""
        mean, (error, freedom) = max(self.mse or 0.0, _LEAST_MSE), self._error()
        if error is None:
            return None
        exponent = min(_MOST_EXPONENT, error / mean * float(stdtrit(freedom, _INTERVAL[1] / 100)))
        return [mean * math.exp(-exponent), mean * math.exp(exponent)]

    def _error(self) -> tuple[float | None, int]:
        """Standard error of the MSE and its degrees of freedom."""
        count = len(self.errors_sq)
        if count > 1:
            return float(np.std(self.errors_sq, ddof=1)) / math.sqrt(count), count - 1
        return (self.standard_errors[0] if count else None), BLOCKS - 1


@dataclass(frozen=True)
class MeasuredModel:
    """A row of the table: N, and all its cells from the least D on, gaps too."""

    name: str
    parameters: float
    cells: tuple[MeasuredCell, ...]

    @property
    def tokens(self) -> Array:
        """(cells,) D."""
        return np.array([cell.tokens for cell in self.cells])

    @property
    def errors_sq(self) -> Array:
        """(cells,) mean MSE, NaN in a gap."""
        return np.array([np.nan if cell.mse is None else cell.mse for cell in self.cells])

    def draw(self, generator: np.random.Generator) -> Array:
        """(draws, cells) drawn MSE."""
        return np.stack([cell.draw(generator) for cell in self.cells], axis=1)


def interval_source(models: Sequence[MeasuredModel]) -> Source:
    """`seeds` where every measured cell has several runs; `window` otherwise."""
    counts = [len(cell.errors_sq) for model in models for cell in model.cells if cell.errors_sq]
    return "seeds" if all(count > 1 for count in counts) else "window"


def crossing(tokens: Array, errors_sq: Array, threshold: float) -> Array:
    """(draws,) the D at which the MSE first falls below the threshold, linear in log MSE over log D between neighbours.

    NaN where it does not fall below it, is below it from the start, or where the cell before was not measured.

    Args:
        tokens: (cells,) increasing D.
        errors_sq: (draws, cells) positive, NaN in a gap.
    """
    below = errors_sq < threshold
    first = below.argmax(axis=1)
    answer = np.full(len(errors_sq), np.nan)
    inside = np.flatnonzero(below.any(axis=1) & (first > 0))
    right = first[inside]
    high, low = np.log(errors_sq[inside, right - 1]), np.log(errors_sq[inside, right])
    left_d, right_d = np.log(tokens[right - 1]), np.log(tokens[right])
    share = (high - np.log(threshold)) / (high - low)  # a gap before makes it NaN
    answer[inside] = np.exp(left_d + share * (right_d - left_d))
    return answer


def interval_of(values: Array) -> list[float] | None:
    """95 % of the draws; None where more than 5 % of them have no value."""
    finite = values[np.isfinite(values)]
    if len(finite) < _ENOUGH * len(values):
        return None
    low, high = np.percentile(finite, _INTERVAL)
    return [float(low), float(high)]
