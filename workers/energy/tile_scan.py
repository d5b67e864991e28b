"""Tiles of products → the sums and the candidates of their queries, by torch, or on a GPU by one launch of a kernel.

A tile has values v = ‖ρ‖² − 2 x·ρ, squared distances less ‖x‖²; the lifted scan is of v + M² − ‖ρ‖². A scan leaves out
a query's own pattern, adds exp(−β (v − min v)) to its sums at every β, keeps the smallest upper bounds v + slack, and
lists the pairs whose lower bound v − slack is within the limit that follows from these (candidates.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.energy.candidates import CROWDED, MOST, Candidates
from workers.energy.patterns import BLOCK, Patterns, Tile, leave_out
from workers.energy.soft_minimum import SoftMinima

# Of a program of the kernel: queries, and patterns or blocks at once.
SCAN_SHAPE = {"rows_here": 4, "columns_here": 256, "blocks_here": 128, "num_warps": 4}


@dataclass(frozen=True)
class Scan:
    """The sums and the candidates of a block of queries, over the plain or over the lifted values."""

    sums: SoftMinima
    near: Candidates
    lifted: bool


@dataclass(frozen=True)
class Products:
    """The products of a block of queries with a tile of patterns.

    Attributes:
        longest, largest_lifts: (P / 64, rounded up) the largest norm, and the largest lift, of each block of patterns.
        values: (m, P) before any pattern is left out, and without lifts.
        norms: (m,) norms of the queries.
        own: (m,) place of the pattern that is left out; −1 for none.
    """

    patterns: Patterns
    tile: Tile
    longest: Tensor
    largest_lifts: Tensor
    values: Tensor
    norms: Tensor
    own: Tensor

    @classmethod
    def of(cls, patterns: Patterns, places: slice, queries: Tensor, norms: Tensor, own: Tensor) -> Products:
        """The products of (m, n) queries with the patterns at some places, which begin a block."""
        tile, maxima = patterns.tile(places.start, places.stop), patterns.block_maxima(places.start, places.stop)
        return cls(patterns, tile, *maxima, torch.addmm(tile.norms_sq, queries, tile.rows.T, alpha=-2.0), norms, own)

    @property
    def lift_unit(self) -> float:
        """Rounding of a lifted value, relative to the lift and the squared norms."""
        return 4 * self.patterns.unit

    def slack(self, *, lifted: bool) -> Tensor:
        """(m, P / 64) bounds on the rounding of the values of each block."""
        reach_sq = (self.norms[:, None] + self.longest).square()
        slack = self.patterns.gamma * reach_sq + self.patterns.absolute
        return slack + self.lift_unit * (self.largest_lifts + reach_sq) if lifted else slack


def scan_plain(
    scans: Sequence[Scan], products: Products, scratch: Tensor | None = None, *, sums: bool = True
) -> Tensor:
    """Add a tile to the plain and then to the lifted scan, by torch; the products are written over.

    Args:
        sums: False: to the candidates alone.

    Returns:
        The scratch, to be given with the next tile.
    """
    values = leave_out(products.values, products.tile, products.own)
    missing = -values.shape[1] % BLOCK
    values = torch.nn.functional.pad(values, (0, missing), value=torch.inf) if missing else values
    if scratch is None or scratch.shape != values.shape:
        scratch = torch.empty_like(values)
    for each in scans:
        if each.lifted:
            values += torch.nn.functional.pad(products.tile.lifts, (0, values.shape[1] - len(products.tile.lifts)))
        minima = values.view(len(values), -1, BLOCK).amin(dim=2)
        each.near.add(values, minima, products.slack(lifted=each.lifted), products.tile.start)
        if sums:
            each.sums.add(values, minima, scratch)
    return scratch


def scan_fused(each: Scan, products: Products) -> None:
    """Add a tile to one scan by the kernel: one launch, for which nothing waits. Only for float32 products."""
    from workers.energy.scan_kernel import scan_kernel  # Triton, which only CUDA builds of torch bring

    values, tile, patterns, near, sums = products.values, products.tile, products.patterns, each.near, each.sums
    pool, blocks, device = near.pool, len(products.longest), values.device
    assert pool is not None
    minima = torch.empty((len(values), blocks), dtype=values.dtype, device=device)
    kernel: Any = scan_kernel
    with torch.cuda.device(device if device.type == "cuda" else -1):  # Triton launches on the current device
        kernel[(-(-len(values) // SCAN_SHAPE["rows_here"]),)](
            values, tile.lifts, products.own, products.norms, products.longest, products.largest_lifts,
            sums.used_here, minima, near.best, sums.least, sums.sums, near.crowded.view(torch.int8), pool.queries,
            pool.places, pool.values, pool.lowers, pool.count, *values.shape, blocks, tile.start, pool.capacity,
            near.heavy, patterns.gamma, patterns.absolute, products.lift_unit, CROWDED, k=near.k, most=MOST,
            kept=near.best.shape[1], beta_count=len(sums.used),
            beta_room=1 << (max(1, len(sums.used)) - 1).bit_length(), lifted=each.lifted, singly=near.singly,
            **SCAN_SHAPE,
        )  # fmt: skip
