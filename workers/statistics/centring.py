"""Rows about their mean, block by block in float64, in a unit in which no square leaves the range of a double."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
RANK_TOLERANCE = 1e-12
RowBlocks = Callable[[], Iterable[Array]]
BLOCK_ROWS = 4096
_SMALL, _LARGE = 1e-100, 1e100


def blocks_of(rows: Array) -> RowBlocks:
    """The blocks of (N, n) rows in memory, or memory-mapped, once for each call."""
    return lambda: (rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS))


@dataclass(frozen=True)
class Centre:
    """The mean of rows, and the unit of their deviations.

    Attributes:
        count: N, at least 1.
        mean: (n,) of the rows; exactly the value of a constant coordinate, so that rounding gives it no variance.
        unit: 1, or a power of two near the largest element where its square may leave the range of a double.
    """

    count: int
    mean: Array
    unit: float

    @classmethod
    def of(cls, blocks: RowBlocks) -> Centre:
        """Compute the centre in one pass over at least one row."""
        count, mean, low, high = 0, np.zeros(1), np.full(1, np.inf), np.full(1, -np.inf)
        for block in blocks():
            rows = np.asarray(block, dtype=np.float64)
            count += len(rows)
            mean = mean + (rows.mean(axis=0) - mean) * (len(rows) / count)
            low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
        largest = float(np.maximum(-low, high).max())
        unit = 1.0 if largest == 0 or _SMALL < largest < _LARGE else 2.0 ** (math.frexp(largest)[1] - 1)
        return cls(count, np.where(low == high, low, mean), unit)

    def about(self, block: Array) -> Array:
        """(m, n) float64 (rows − mean)/unit."""
        return (np.asarray(block, dtype=np.float64) - self.mean) / self.unit

    def variances(self, blocks: RowBlocks) -> Array:
        """(n,) variance of each coordinate over unit², divided by N."""
        total = np.zeros(len(self.mean))
        for block in blocks():
            total += (self.about(block) ** 2).sum(axis=0)
        return total / self.count

    def products(self, blocks: RowBlocks) -> Array:
        """Σ (x − mean)(x − mean)ᵀ/unit², (n, n); or of N ≤ n rows the (N, N) Gram matrix of the centred rows.

        Both have the same non-zero eigenvalues, and so the same trace and the same trace of the square.
        """
        if self.count <= len(self.mean):
            centred = np.concatenate([self.about(block) for block in blocks()])
            return centred @ centred.T
        scatter = np.zeros((len(self.mean), len(self.mean)))
        for block in blocks():
            centred = self.about(block)
            scatter += centred.T @ centred
        return scatter

    def principal(self, rows: Array) -> tuple[Array, Array]:
        """Eigenvalues of the covariance over unit², ascending, and their (n, r) axes; those under 1e-12 left out.

        Of N ≤ n rows they come from the Gram matrix, the axes as v = Xᵀu/√(N λ) from its eigenvectors u.
        """
        values, vectors = np.linalg.eigh(self.products(blocks_of(rows)) / self.count)
        kept = values > RANK_TOLERANCE * max(float(values[-1]), 0.0)
        values, vectors = values[kept], vectors[:, kept]
        if self.count <= len(self.mean):
            vectors = self.about(rows).T @ vectors / np.sqrt(self.count * values)
        return values, vectors
