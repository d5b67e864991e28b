"""The pairs that float64 has to settle, chosen while tiles of rounded squared distances go by.

Kept is every pair that may be among the k nearest, by a rigorous bound on its rounding, and beyond those the nearest
ones that weigh in the sums, up to `MOST` of a query. A query with too many pairs in doubt (hundreds of copies of one
row) is marked crowded and left to the exact engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 64
MOST = 16
_CROWDED = 512
_MANY = 8


@dataclass(frozen=True)
class Chosen:
    """(pairs,) columns on the CPU: query place, pattern id, rounded value."""

    queries: Tensor
    ids: Tensor
    values: Tensor


class Candidates:
    """Running choice for q queries.

    Args:
        patterns: how many there are in all tiles.
        heavy: how far above the least value a pair still weighs enough to be settled.
    """

    def __init__(self, queries: int, patterns: int, k: int, heavy: float, device: torch.device) -> None:
        self.k, self.heavy = k, heavy
        width = max(k, MOST)
        self.best = torch.full((queries, width), torch.inf, dtype=torch.float64, device=device)
        # One upper bound per block is a sharp limit only where blocks are many; few rows are looked at one by one.
        self._singly = patterns < _MANY * BLOCK * width
        self.crowded = torch.zeros(queries, dtype=torch.bool, device=device)
        self._kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, minima: Tensor, slack: Tensor, start: int) -> None:
        """Offer a tile.

        Args:
            values: (q, P) with P a multiple of `BLOCK`; inf where there is no admissible pattern.
            minima: (q, P / BLOCK) of the blocks.
            slack: (q, P / BLOCK) bounds on the rounding of a block's values.
            start: id of the tile's first pattern.
        """
        uppers = minima + slack
        if self._singly:
            uppers = (values.view(len(values), -1, BLOCK) + slack[:, :, None]).flatten(1)
        self.best = torch.cat([self.best, uppers.double()], dim=1)
        self.best = self.best.topk(max(self.k, MOST), dim=1, largest=False, sorted=True).values
        limits = self._limits()
        query, block = torch.nonzero((minima - slack).double() <= limits[:, None], as_tuple=True)
        near = values.view(len(values), -1, BLOCK)[query, block]
        lowers = (near - slack[query, block][:, None]).double()
        at, column = torch.nonzero((lowers <= limits[query][:, None]) & torch.isfinite(near), as_tuple=True)
        counts = torch.bincount(query[at], minlength=len(values))
        self.crowded |= counts > _CROWDED
        at, column = (part[~self.crowded[query[at]]] for part in (at, column))
        ids = start + block[at] * BLOCK + column
        self._kept.append((query[at], ids, near[at, column], lowers[at, column]))

    def chosen(self) -> Chosen:
        """The pairs within the limits that all tiles together leave."""
        query, ids, values, lowers = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        keep = (lowers <= self._limits()[query]) & ~self.crowded[query]
        return Chosen(query[keep].cpu(), ids[keep].cpu(), values[keep].double().cpu())

    def _limits(self) -> Tensor:
        """(q,) the k-th best upper bound; farther, up to the MOST-th, while pairs are heavy. −inf: crowded."""
        heavy = torch.minimum(self.best[:, 0] + self.heavy, self.best[:, MOST - 1])
        limits = torch.maximum(self.best[:, self.k - 1], heavy)
        return limits.masked_fill(self.crowded, -torch.inf)
