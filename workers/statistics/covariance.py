"""Mean and shrunk covariance of rows, by which null models are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
MOST_DIMENSIONS = 8192  # of the smaller of both sides: an eigendecomposition takes its cube
_BLOCK_ROWS = 8192


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
        """Of (N, d) rows whose squares a double holds, N from 2; the smaller of both up to `MOST_DIMENSIONS`."""
        count, d = rows.shape
        mean = rows.mean(axis=0, dtype=np.float64)
        values, axes, fourth = _principal(rows, mean)
        scale = float(values.sum()) / d
        distance = max(0.0, float((values**2).sum()) / d - scale**2)
        noise = min(distance, max(0.0, (fourth - float((values**2).sum())) / (d * count)))
        shrinkage = noise / distance if distance > 0 else 0.0
        deviations = np.sqrt((1 - shrinkage) * values + shrinkage * scale)
        return cls(mean, axes, deviations, math.sqrt(shrinkage * scale), shrinkage)

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
        for start in range(0, len(rows), _BLOCK_ROWS):
            centred = rows[start : start + _BLOCK_ROWS] - self.mean
            along = centred @ self.axes
            squares = ((along * inverse) ** 2).sum(axis=1)
            if self.rest > 0:
                outside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
                squares += np.maximum(outside, 0.0) / self.rest**2
            found[start : start + _BLOCK_ROWS] = np.sqrt(squares)
        return found


def _principal(rows: Array, mean: Array) -> tuple[Array, Array, float]:
    """Eigenvalues of S, their (d, r) axes, and the mean of ‖x − μ‖⁴, without a (d, d) matrix where N ≤ d."""
    count, d = rows.shape
    if count <= d:
        centred = rows - mean
        values, vectors = np.linalg.eigh(centred @ centred.T / count)
        kept = values > np.finfo(np.float64).eps * count * max(float(values[-1]), 0.0)
        values, vectors = values[kept], vectors[:, kept]
        axes = centred.T @ vectors / np.sqrt(values * count)
        return values, axes, float(((centred**2).sum(axis=1) ** 2).mean())
    scatter, fourth = np.zeros((d, d)), 0.0
    for start in range(0, count, _BLOCK_ROWS):
        centred = rows[start : start + _BLOCK_ROWS] - mean
        scatter += centred.T @ centred
        fourth += float(((centred**2).sum(axis=1) ** 2).sum())
    values, axes = np.linalg.eigh(scatter / count)
    return np.maximum(values, 0.0), axes, fourth / count
