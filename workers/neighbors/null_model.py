"""The Gaussian null model: nearest-neighbour distances of normal draws with the same mean and covariance.

Draws y ~ N(μ, Σ) with Σ the set's covariance. Distances do not depend on μ nor on a rotation, so the draws are made in
Σ's eigenbasis, coordinate i with variance λ_i; directions of λ_i = 0 (a covariance of deficient rank) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workers.devices.device import CPU
from workers.devices.seeding import seed_sequence
from workers.neighbors.device_rows import rows_on
from workers.neighbors.null_on_device import deviations_on, nearest_draws
from workers.neighbors.stored import StoredRows

Array = np.ndarray
_TILE_ROWS = 8192
_RANK_TOLERANCE = 1e-12
_SMALL, _LARGE = 1e-100, 1e100


@dataclass(frozen=True)
class GaussianNull:
    """Nearest-neighbour distances of sampled draws among n − 1 others, for each given n.

    Attributes:
        distances: one (queries,) float64 array per size.
        deviations: (rank,) standard deviations along the axes of the covariance, descending.
    """

    distances: list[Array]
    deviations: Array

    @property
    def rank(self) -> int:
        """Number of directions with variance."""
        return len(self.deviations)


def principal_deviations(rows: StoredRows, mean: Array, device: torch.device = CPU) -> Array:
    """Standard deviations √λ_i along the principal axes, in float64, descending; λ under 1e-12 of the largest left out.

    The eigenvalues λ of the covariance are those of the (d, d) matrix, or with fewer rows than dimensions of the (n, n)
    Gram matrix, which has the same non-zero ones.
    """
    if device.type != "cpu":
        return deviations_on(rows_on(rows, device), torch.from_numpy(mean).to(device), _RANK_TOLERANCE)
    n, d = len(rows), rows.d
    blocks = [(start, min(start + _TILE_ROWS, n)) for start in range(0, n, _TILE_ROWS)]
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for part in blocks:
        block = _block(rows, *part)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    mean = np.where(low == high, low, mean)  # so that a constant coordinate has no variance by rounding
    unit = _unit_of(float(np.maximum(mean - low, high - mean).max()))
    if n <= d:
        centred = (_block(rows, 0, n) - mean) / unit
        product = centred @ centred.T
    else:
        product = np.zeros((d, d))
        for part in blocks:
            block = (_block(rows, *part) - mean) / unit
            product += block.T @ block
    eigenvalues = np.linalg.eigvalsh(product / n)[::-1]
    return np.sqrt(eigenvalues[eigenvalues > _RANK_TOLERANCE * max(eigenvalues[0], 0.0)]) * unit


def _unit_of(largest: float) -> float:
    """1, or a power of two near the largest number where its square may leave the range of a double."""
    return 1.0 if largest == 0 or _SMALL < largest < _LARGE else 2.0 ** math.frexp(largest)[1]


def _block(rows: StoredRows, start: int, stop: int) -> Array:
    return rows.take(torch.arange(start, stop)).double().numpy()


def gaussian_null(
    deviations: Array, sizes: Sequence[int], *, queries: int, seed: int, device: torch.device = CPU
) -> GaussianNull:
    """Nearest-neighbour distances in Gaussian data of these standard deviations along its axes.

    The first min(queries, n) draws are the queries; sizes are prefixes of one stream of draws, so all of them come
    from one pass. Draws are made tile by tile: memory does not grow with n.

    Args:
        deviations: (rank,) positive, descending.
        sizes: increasing numbers of draws; one below 2 gives an empty array.
        queries: number of draws whose nearest other draw is sought, 8,192 at most.
        device: a GPU draws other numbers than a CPU from the same seed.
    """
    if len(deviations) == 0 or max(sizes) < 2:
        return GaussianNull([np.empty(0) for _ in sizes], deviations)
    unit = _unit_of(float(deviations[0]))
    scale = deviations / unit
    if device.type != "cpu":
        found = nearest_draws(torch.from_numpy(scale.copy()).to(device), sizes, queries, seed)
        return GaussianNull([part * unit for part in found], deviations)
    query_rows = _draw(seed, 0, min(_TILE_ROWS, max(sizes)), scale)[:queries]
    nearest_sq = np.full(len(query_rows), np.inf)
    distances = []
    done = 0
    for size in sizes:
        while done < size:
            tile_index, offset = divmod(done, _TILE_ROWS)
            stop = min(size - tile_index * _TILE_ROWS, _TILE_ROWS)
            tile = _draw(seed, tile_index, _TILE_ROWS, scale)[offset:stop]
            nearest_sq = np.minimum(nearest_sq, _nearest_sq(query_rows, tile, done))
            done += len(tile)
        used = min(len(query_rows), size)
        distances.append(np.sqrt(nearest_sq[:used]) * unit if size >= 2 else np.empty(0))
    return GaussianNull(distances, deviations)


def _draw(seed: int, tile: int, rows: int, scale: Array) -> Array:
    """Tile `tile` of the stream of draws; it does not depend on earlier draws."""
    generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, tile)))
    return generator.standard_normal((_TILE_ROWS, len(scale)))[:rows] * scale


def _nearest_sq(queries: Array, tile: Array, first: int) -> Array:
    """Smallest squared distance of each query to the tile's rows, itself (draw `first` + column) left out."""
    distances_sq = (queries**2).sum(axis=1)[:, None] + (tile**2).sum(axis=1) - 2 * (queries @ tile.T)
    query, column = np.nonzero(np.arange(len(queries))[:, None] == first + np.arange(len(tile)))
    distances_sq[query, column] = np.inf
    return np.maximum(distances_sq.min(axis=1), 0.0)
