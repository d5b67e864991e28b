"""The self-test of the kernel that scans tiles: once in a process and on each device, before its first energies.

Random tiles are scanned by the kernel and by torch on the same device. The two must agree in the minima, in the sums
up to their rounding, in the smallest upper bounds, and in the pairs that are listed. A kernel that differs, or that
cannot be compiled, is not used.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from workers.devices.kernels import KernelState, try_kernel
from workers.energy.candidates import Candidates
from workers.energy.patterns import Patterns, prepare_patterns, squared_norms
from workers.energy.soft_minimum import SoftMinima
from workers.energy.tile_scan import Products, Scan, scan_fused, scan_plain
from workers.neighbors.stored import StoredRows

_QUERIES, _D = 9, 24
_NEAREST, _HEAVY, _BETAS = 3, 5.0, (0.5, 4.0, 60.0)  # in the scale of the patterns
_TILES = {400: 192, 8_300: 4_160}  # patterns and the width of a tile: bounds by pair, and by block
_LIFTED = (False, True)
_SUMS = 1e-4  # relative: exp of a float32 argument down to −18, twice


@cache
def scan_state(device: torch.device) -> KernelState:
    """Test the kernel; the answer is kept for the process."""
    return try_kernel("energies", device, scan_error)


def is_fused(patterns: Patterns) -> bool:
    """Whether a kernel scans the tiles: on a GPU that passed, and for float32 products."""
    return patterns.precision == torch.float32 and scan_state(patterns.device).fused


def scan_error(device: torch.device) -> str | None:
    """The error of the kernel on random patterns; None if there is none."""
    for count, width in _TILES.items():
        rows = np.random.default_rng(count).standard_normal((count, _D)).astype(np.float32)
        rows[::7] = rows[3]  # copies, which tie
        patterns = prepare_patterns(StoredRows(rows), device=device)
        for lifted in _LIFTED:
            wrong = _compare(*(_scanned(patterns, width, lifted=lifted, fused=fused) for fused in (True, False)))
            if wrong is not None:
                return wrong
    return None


def _scanned(patterns: Patterns, width: int, *, lifted: bool, fused: bool) -> tuple[Scan, set[tuple[int, int]]]:
    """A scan of all tiles, and the pairs that it chose."""
    ids = torch.arange(0, 2 * _QUERIES, 2)
    queries = patterns.take(patterns.rows, ids)
    near = Candidates(_QUERIES, len(patterns), _NEAREST, _HEAVY, queries, pooled=fused)
    scan = Scan(SoftMinima(_QUERIES, _BETAS, queries, len(patterns)), near, lifted)
    norms, own = squared_norms(queries).sqrt().to(patterns.precision), patterns.places_of(ids)
    own = torch.where(ids % 3 == 0, -1, own).to(patterns.device)
    for start in range(0, len(patterns), width):
        products = Products.of(patterns, slice(start, start + width), queries, norms, own)
        if fused:
            scan_fused(scan, products)
        else:
            scan_plain([scan], products)
    chosen = near.chosen(patterns.ids_in_order)
    return scan, set(zip(chosen.queries.tolist(), chosen.ids.tolist(), strict=True))


def _compare(found: tuple[Scan, set[tuple[int, int]]], expected: tuple[Scan, set[tuple[int, int]]]) -> str | None:
    """The first difference of two scans."""
    (by_kernel, pairs), (by_torch, expected_pairs) = found, expected
    if not torch.equal(by_kernel.sums.least, by_torch.sums.least):
        return "a minimum differs"
    if not torch.allclose(by_kernel.sums.sums, by_torch.sums.sums, rtol=_SUMS, atol=0.0):
        return "a sum is beyond its error bound"
    width = by_torch.near.best.shape[1]
    if not torch.allclose(by_kernel.near.best[:, :width], by_torch.near.best, rtol=1e-6, atol=1e-9):
        return "an upper bound differs"
    if not torch.equal(by_kernel.near.crowded, by_torch.near.crowded):
        return "a query is crowded by one of both"
    unlike = pairs ^ expected_pairs
    return f"{len(unlike)} pairs are listed by one of both" if unlike else None
