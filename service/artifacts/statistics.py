"""Statistics of an activation set, accumulated block by block in float64 in the order of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from service.contracts.activations import ActivationStatistics
from service.errors import NonFiniteData
from service.norms import SMALLEST_NORMAL, row_norms

Array = np.ndarray
_BLOCK_ROWS = 4096
_SMALL, _LARGE = 1e-100, 1e100


@dataclass
class RunningStatistics:
    """Mean, variance and norms of the rows seen so far (pairwise update of Chan, Golub and LeVeque 1979).

    The sums are of the rows over 2^exponent: 0 unless squares of the rows may leave the range of a double.

    Attributes:
        norm_sum: Σ ‖x‖ / 2^exponent.
        sum_sq_about_mean: (d,) Σ (x − mean)² / 4^exponent, so that the variance is this over n.
        sum_sq: (d,) Σ x² / 4^exponent, for shares of the squared norm.
    """

    d_model: int
    n: int = 0
    exponent: int = 0
    largest: float = 0.0
    norm_sum: float = 0.0
    norm_min: float = float("inf")
    norm_max: float = 0.0
    zero_rows: int = 0
    sum_sq_about_mean: Array = field(init=False)
    sum_sq: Array = field(init=False)
    _mean: Array = field(init=False)

    def __post_init__(self) -> None:
        self._mean, self.sum_sq_about_mean, self.sum_sq = (np.zeros(self.d_model) for _ in range(3))

    @property
    def mean(self) -> Array:
        """(d,) mean vector."""
        return np.ldexp(self._mean, self.exponent)

    @property
    def variance(self) -> Array | None:
        """(d,) population variance; None where the largest under- or overflows a double."""
        scaled = self.sum_sq_about_mean / self.n
        with np.errstate(over="ignore"):
            found = np.ldexp(scaled, 2 * self.exponent)
        held = SMALLEST_NORMAL <= found.max() < np.inf
        return found if held or not scaled.any() else None

    def add(self, rows: Array) -> None:
        """Add (m, d_model) rows.

        Raises:
            NonFiniteData: naming the first row with a NaN or an infinity, or whose norm overflows a double.
        """
        for start in range(0, len(rows), _BLOCK_ROWS):
            self._add_block(np.asarray(rows[start : start + _BLOCK_ROWS], dtype=np.float64))

    def _add_block(self, block: Array) -> None:
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise NonFiniteData(f"row {self.n + int(np.argmin(finite))} is not finite")
        norms = row_norms(block)
        finite = np.isfinite(norms)
        if not finite.all():
            row = self.n + int(np.argmin(finite))
            raise NonFiniteData(f"the norm of row {row} overflows a double; scale the vectors down")
        self._scale_to(max(self.largest, float(np.abs(block).max())))
        scaled = np.ldexp(block, -self.exponent) if self.exponent else block
        m, total = len(block), self.n + len(block)
        block_mean = scaled.mean(axis=0)
        gap = block_mean - self._mean
        self.sum_sq_about_mean += ((scaled - block_mean) ** 2).sum(axis=0) + gap**2 * (self.n * m / total)
        self._mean += gap * (m / total)
        self.sum_sq += (scaled**2).sum(axis=0)
        self.norm_sum += float(np.ldexp(norms, -self.exponent).sum())
        self.norm_min = min(self.norm_min, float(norms.min()))
        self.norm_max = max(self.norm_max, float(norms.max()))
        self.zero_rows += int((norms == 0).sum())
        self.n = total

    def _scale_to(self, largest: float) -> None:
        """Choose the exponent for elements up to `largest`, and bring the sums so far to it."""
        exponent = 0 if largest == 0 or _SMALL < largest < _LARGE else math.frexp(largest)[1]
        step, self.exponent, self.largest = self.exponent - exponent, exponent, largest
        if step:
            self._mean, self.norm_sum = np.ldexp(self._mean, step), math.ldexp(self.norm_sum, step)
            self.sum_sq, self.sum_sq_about_mean = (
                np.ldexp(sums, 2 * step) for sums in (self.sum_sq, self.sum_sq_about_mean)
            )

    def summary(self) -> ActivationStatistics:
        """The statistics of all rows."""
        top = np.argsort(self.sum_sq)[::-1][:5]
        return ActivationStatistics(
            norm_mean=math.ldexp(self.norm_sum / self.n, self.exponent),
            norm_min=self.norm_min,
            norm_max=self.norm_max,
            top5_share=_share(self.sum_sq, top),
            top5_dimensions=[int(index) for index in top],
            top5_variance_share=_share(self.sum_sq_about_mean, np.argsort(self.sum_sq_about_mean)[::-1][:5]),
            zero_rows=self.zero_rows,
        )


def _share(parts: Array, chosen: Array) -> float:
    total = float(parts.sum())
    return min(1.0, float(parts[chosen].sum()) / total) if total > 0 else 0.0
