"""The pairs to be rescored in float64, chosen from tiles of rounded squared distances.

A pair is kept if it may be among the k nearest, by a rigorous bound on its rounding; beyond those, up to `MOST` pairs
of a query are kept that carry weight in the sums. A query with too many candidates (hundreds of copies of one row) is
marked as crowded; the exact engine searches it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 64
MOST = 16
_CROWDED = 512
_MANY = 8
_ROOM = 64  # cells, and pairs, of a query in one tile, on average over the queries


@dataclass(frozen=True)
class Chosen:
    """Chosen pairs: (pairs,) query index, pattern id and rounded value, on the CPU."""

    queries: Tensor
    ids: Tensor
    values: Tensor


class Candidates:
    """The candidates of q queries among the tiles so far.

    Args:
        patterns: number of patterns in all tiles.
        heavy: largest difference to the smallest value at which a pair carries enough weight to be rescored.
    """

    def __init__(self, queries: int, patterns: int, k: int, heavy: float, device: torch.device) -> None:
        self.k, self.heavy = k, heavy
        width = max(k, MOST)
        self.best = torch.full((queries, width), torch.inf, dtype=torch.float64, device=device)
        # One upper bound per block gives a sharp limit only where there are many blocks; otherwise take one per pair.
        self._singly = patterns < _MANY * BLOCK * width
        self.crowded = torch.zeros(queries, dtype=torch.bool, device=device)
        self._kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, minima: Tensor, slack: Tensor, pattern_ids: Tensor) -> None:
        """Add a tile.

        Args:
            values: (q, P) with P a multiple of `BLOCK`; inf where there is no admissible pattern.
            minima: (q, P / BLOCK) of the blocks.
            slack: (q, P / BLOCK) bounds on the rounding of a block's values.
            pattern_ids: (P or fewer,) of the tile; there are none in the padding.
        """
        uppers = minima + slack
        if self._singly:
            uppers = (values.view(len(values), -1, BLOCK) + slack[:, :, None]).flatten(1)
        self.best = torch.cat([self.best, uppers.double()], dim=1)
        self.best = self.best.topk(max(self.k, MOST), dim=1, largest=False, sorted=True).values
        limits = self._limits()
        if values.device.type != "cpu":
            self._add_without_waiting(values, minima, slack, pattern_ids, limits)
            return
        query, block = torch.nonzero((minima - slack).double() <= limits[:, None], as_tuple=True)
        near = values.view(len(values), -1, BLOCK)[query, block]
        lowers = (near - slack[query, block][:, None]).double()
        at, column = torch.nonzero((lowers <= limits[query][:, None]) & torch.isfinite(near), as_tuple=True)
        counts = torch.bincount(query[at], minlength=len(values))
        self.crowded |= counts > _CROWDED
        at, column = (part[~self.crowded[query[at]]] for part in (at, column))
        ids = pattern_ids.to(column.device)[block[at] * BLOCK + column]
        self._kept.append((query[at], ids, near[at, column], lowers[at, column]))

    def _add_without_waiting(
        self, values: Tensor, minima: Tensor, slack: Tensor, pattern_ids: Tensor, limits: Tensor
    ) -> None:
        """The same on a GPU, into lists of a fixed length; where they do not suffice all queries count as crowded."""
        m, room = len(values), _ROOM * len(values)
        within = (minima - slack).double() <= limits[:, None]
        cells = torch.nonzero_static(within, size=room, fill_value=-1)
        there = cells[:, 0] >= 0
        query, block = cells.clamp(min=0).unbind(1)
        near = values.view(m, -1, BLOCK)[query, block]
        lowers = (near - slack[query, block][:, None]).double()
        wanted = (lowers <= limits[query][:, None]) & torch.isfinite(near) & there[:, None]
        counts = torch.zeros(m, dtype=torch.int64, device=query.device).index_add_(0, query, wanted.sum(dim=1))
        self.crowded |= (counts > _CROWDED) | (within.sum() > room) | (wanted.sum() > room)
        pairs = torch.nonzero_static(wanted, size=room, fill_value=-1)
        at, column = pairs.clamp(min=0).unbind(1)
        place = (block[at] * BLOCK + column).clamp(max=len(pattern_ids) - 1)
        # A place of the list that holds no pair is beyond every limit.
        low = lowers[at, column].masked_fill(pairs[:, 0] < 0, torch.inf)
        self._kept.append((query[at], pattern_ids[place], near[at, column], low))

    def chosen(self) -> Chosen:
        """The pairs within the final limits, after all tiles."""
        query, ids, values, lowers = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        keep = (lowers <= self._limits()[query]) & (lowers < torch.inf) & ~self.crowded[query]
        return Chosen(query[keep].cpu(), ids[keep].cpu(), values[keep].double().cpu())

    def _limits(self) -> Tensor:
        """(q,) the k-th smallest upper bound, up to the MOST-th while pairs carry weight; −inf if crowded."""
        heavy = torch.minimum(self.best[:, 0] + self.heavy, self.best[:, MOST - 1])
        limits = torch.maximum(self.best[:, self.k - 1], heavy)
        return limits.masked_fill(self.crowded, -torch.inf)
