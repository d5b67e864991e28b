"""Statistics of an activation set, accumulated block by block in float64 in the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from service.contracts.activations import ActivationStatistics
from service.errors import NonFiniteData

Array = np.ndarray
_BLOCK_ROWS = 4096


@dataclass
class RunningStatistics:
    """Mean, variance and norms of the rows seen so far (pairwise update of Chan, Golub and LeVeque 1979).

    Attributes:
        mean: (d,) mean vector.
        sum_sq_about_mean: (d,) Σ (x − mean)², so that the variance is this over n.
        sum_sq: (d,) Σ x², for shares of the squared norm.
    """

    d_model: int
    n: int = 0
    norm_sum: float = 0.0
    norm_min: float = float("inf")
    norm_max: float = 0.0
    zero_rows: int = 0
    mean: Array = field(init=False)
    sum_sq_about_mean: Array = field(init=False)
    sum_sq: Array = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.sum_sq_about_mean, self.sum_sq = (np.zeros(self.d_model) for _ in range(3))

    def add(self, rows: Array) -> None:
        """Add (m, d_model) rows; raises `NonFiniteData` naming the first row with a NaN or an infinity."""
        with np.errstate(over="ignore", invalid="ignore"):  # `summary` refuses sums that overflowed
            for start in range(0, len(rows), _BLOCK_ROWS):
                self._add_block(np.asarray(rows[start : start + _BLOCK_ROWS], dtype=np.float64))

    def _add_block(self, block: Array) -> None:
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise NonFiniteData(f"row {self.n + int(np.argmin(finite))} is not finite")
        m, total = len(block), self.n + len(block)
        block_mean = block.mean(axis=0)
        gap = block_mean - self.mean
        self.sum_sq_about_mean += ((block - block_mean) ** 2).sum(axis=0) + gap**2 * (self.n * m / total)
        self.mean += gap * (m / total)
        norms = np.linalg.norm(block, axis=1)
        self.sum_sq += (block**2).sum(axis=0)
        self.norm_sum += float(norms.sum())
        self.norm_min = min(self.norm_min, float(norms.min()))
        self.norm_max = max(self.norm_max, float(norms.max()))
        self.zero_rows += int((norms == 0).sum())
        self.n = total

    def summary(self) -> ActivationStatistics:
        """The statistics of all rows; raises `NonFiniteData` where their squared norms overflow a double."""
        top = np.argsort(self.sum_sq)[::-1][:5]
        with np.errstate(over="ignore"):
            sums = (self.sum_sq.sum(), self.sum_sq_about_mean.sum(), self.norm_sum)
        if not np.isfinite(sums).all():
            raise NonFiniteData("the squared norms overflow a double; scale the vectors down")
        return ActivationStatistics(
            norm_mean=self.norm_sum / self.n,
            norm_min=self.norm_min,
            norm_max=self.norm_max,
            top5_share=_share(self.sum_sq, top),
            top5_dimensions=[int(index) for index in top],
            top5_variance_share=_share(self.sum_sq_about_mean, np.argsort(self.sum_sq_about_mean)[::-1][:5]),
            zero_rows=self.zero_rows,
        )


def _share(parts: Array, chosen: Array) -> float:
    total = float(parts.sum())
    return float(parts[chosen].sum()) / total if total > 0 else 0.0
