"""The Gaussian null model on a GPU: the covariance of the rows, the draws and their distances stay there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from workers.devices.seeding import Purpose, torch_seed
from workers.neighbors.stored import StoredRows, rows_at_once, scale_below

Array = np.ndarray
_TILE_ROWS = 65_536


def deviations_on(rows: StoredRows, mean: Tensor, tolerance: float) -> Array:
    """(rank,) what `principal_deviations` returns, from rows and a (d,) float64 mean on a device."""
    n, d, device = len(rows), rows.d, mean.device
    blocks = torch.arange(n, device=device).split(rows_at_once(device))
    low, high = torch.full_like(mean, torch.inf), torch.full_like(mean, -torch.inf)
    for ids in blocks:
        block = rows.take(ids).double()
        low, high = torch.minimum(low, block.amin(dim=0)), torch.maximum(high, block.amax(dim=0))
    mean = torch.where(low == high, low, mean)  # so that a constant coordinate has no variance by rounding
    unit = 1 / scale_below(float(torch.maximum(mean - low, high - mean).max()))
    if n <= d:
        centred = (rows.take(blocks[0]).double() - mean) / unit
        product = centred @ centred.T
    else:
        product = torch.zeros((d, d), dtype=torch.float64, device=device)
        for ids in blocks:
            block = (rows.take(ids).double() - mean) / unit
            product.addmm_(block.T, block)
    eigenvalues = np.linalg.eigvalsh((product / n).cpu().numpy())[::-1]
    return np.sqrt(eigenvalues[eigenvalues > tolerance * max(eigenvalues[0], 0.0)]) * unit


def nearest_draws(scale: Tensor, sizes: Sequence[int], queries: int, seed: int) -> list[Array]:
    """The (queries,) distance, for each size, of the first draws to the nearest other among so many draws."""
    tiles = _draws(scale, max(sizes), seed)
    first = next(tiles)
    query_rows = first[:queries].clone()
    own = torch.arange(len(query_rows), device=scale.device)
    query_sq = query_rows.square().sum(dim=1)[:, None]
    nearest_sq = torch.full_like(query_sq[:, 0], torch.inf)
    found, done, tile, begin = [], 0, first, 0
    for size in sizes:
        while done < size:
            if done == begin + len(tile):
                tile, begin = next(tiles), done
            part = tile[done - begin : size - begin]
            distances_sq = torch.addmm(query_sq + part.square().sum(dim=1), query_rows, part.T, alpha=-2)
            itself = own[:, None] == torch.arange(done, done + len(part), device=scale.device)
            nearest_sq = torch.minimum(nearest_sq, distances_sq.masked_fill_(itself, torch.inf).amin(dim=1))
            done += len(part)
        distances = nearest_sq[:size].clamp(min=0).sqrt().cpu().numpy()
        found.append(distances if size >= 2 else np.empty(0))
    return found


def _draws(scale: Tensor, n: int, seed: int) -> Iterator[Tensor]:
    """Tiles of draws: each depends on the seed and its place only."""
    for at in range(-(-n // _TILE_ROWS)):
        generator = torch.Generator(scale.device).manual_seed(torch_seed(seed, Purpose.NULL_DRAWS, at))
        shape = (_TILE_ROWS, len(scale))
        yield torch.randn(shape, generator=generator, dtype=torch.float64, device=scale.device) * scale
