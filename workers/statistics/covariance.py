"""Mean and shrunk covariance of rows, by which null models are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workers.statistics.centring import BLOCK_ROWS, Centre, blocks_of

Array = np.ndarray
MOST_DIMENSIONS = 8192  # of the smaller of both sides: an eigendecomposition takes its cube


@dataclass(frozen=True)
class Covariance:
    """μ and Σ̂ = (1 − s) S + s (tr S/d) I, S the covariance divided by N, s the shrinkage of Ledoit and Wolf (2004).

    The sample covariance makes null models too spread in few directions where N is not ≫ d: their distances come out
    too short. Σ̂ has full rank, so it is defined for N < d too.

    Attributes:
        mean: (d,) float64.
        axes: (d, r) orthonormal; S has no variance in the other directions.
        deviations: (r,) square roots of Σ̂'s eigenvalues along the axes.
        rest: the same in every other direction.
        shrinkage: s, from 0 to 1.
    """

    mean: Array
    axes: Array
    deviations: Array
    rest: float
    shrinkage: float

    @property
    def d(self) -> int:
        """Number of dimensions."""
        return len(self.mean)

    @classmethod
    def of(cls, rows: Array) -> Covariance:
        """Estimate the covariance of (N, d) rows; N is at least 2, and min(N, d) at most `MOST_DIMENSIONS`."""
        centre = Centre.of(blocks_of(rows))
        values, axes = centre.principal(rows)
        fourth = sum(float(((centre.about(block) ** 2).sum(axis=1) ** 2).sum()) for block in blocks_of(rows)())
        shrinkage, scale = _shrinkage(values, fourth / centre.count, *rows.shape)
        deviations = centre.unit * np.sqrt((1 - shrinkage) * values + shrinkage * scale)
        return cls(centre.mean, axes, deviations, centre.unit * math.sqrt(shrinkage * scale), shrinkage)

    def spread(self, directions: Array) -> Array:
        """Rows of covariance Σ̂ from (m, d) rows of isotropic distribution and unit covariance, in their dtype."""
        axes, deviations = self.axes.astype(directions.dtype), self.deviations.astype(directions.dtype)
        if axes.shape[1] == self.d:
            return (directions * deviations) @ axes.T  # coordinates along the axes: isotropic rows may be rotated
        rest = directions.dtype.type(self.rest)
        return directions * rest + (directions @ axes * (deviations - rest)) @ axes.T

    def radii(self, rows: Array) -> Array:
        """(m,) |Σ̂^{−1/2} (x − μ)|, in float64; directions without variance count as 0."""
        inverse = np.divide(1.0, self.deviations, out=np.zeros(len(self.deviations)), where=self.deviations > 0)
        found = np.empty(len(rows))
        for start in range(0, len(rows), BLOCK_ROWS):
            centred = rows[start : start + BLOCK_ROWS] - self.mean
            along = centred @ self.axes
            squares = ((along * inverse) ** 2).sum(axis=1)
            if self.rest > 0:
                outside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
                squares += np.maximum(outside, 0.0) / self.rest**2
            found[start : start + BLOCK_ROWS] = np.sqrt(squares)
        return found


def _shrinkage(values: Array, fourth: float, count: int, d: int) -> tuple[float, float]:
    """Ledoit and Wolf's s and tr S/d, from S's eigenvalues and the mean of ‖x − μ‖⁴.

    s = b²/δ², with δ² = ‖S − (tr S/d) I‖² and b² = min(δ², (1/N²) Σ_i ‖(x_i − μ)(x_i − μ)ᵀ − S‖²).
    """
    square = float((values**2).sum())
    scale = float(values.sum()) / d
    distance = max(0.0, square - d * scale**2)
    noise = min(distance, max(0.0, (fourth - square) / count))
    return (noise / distance if distance > 0 else 0.0), scale
