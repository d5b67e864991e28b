"""The pairs to be rescored in float64, chosen from tiles of rounded squared distances.

A pair is kept if it may be among the k nearest, by a rigorous bound on its rounding; beyond those, up to `MOST` pairs
of a query are kept that carry weight in the sums. A query with too many candidates (hundreds of copies of one row) is
marked as crowded; the exact engine searches it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.energy.filter import FilterTile
from workers.energy.patterns import BLOCK
from workers.neighbors.sorting import k_smallest

MOST = 16
CROWDED, FILTERED = 512, 128  # most candidates of a query in one tile; after a filter, where all are rescored
_POOLED = 16  # room for pairs, for each query and each upper bound that is kept
_MANY = 8
_MOST_CELLS = 16  # of a query in one tile after a filter, on average over the queries
_ROOM = 64  # cells, and pairs, of a query in one tile, on average over the queries


@dataclass(frozen=True)
class Chosen:
    """Chosen pairs: (pairs,) query index, pattern id and rounded value, on the CPU."""

    queries: Tensor
    ids: Tensor
    values: Tensor


@dataclass(frozen=True)
class PairPool:
    """Room on a GPU for pairs that a kernel appends.

    Attributes:
        queries, places: (capacity,) int32 index of the query, and place of the pattern in the order of the tiles.
        values, lowers: (capacity,) rounded value, and its lower bound.
        count: (1,) int32 pairs appended; those beyond the capacity are lost.
    """

    queries: Tensor
    places: Tensor
    values: Tensor
    lowers: Tensor
    count: Tensor

    @classmethod
    def of(cls, capacity: int, like: Tensor) -> PairPool:
        """An empty pool for values of the type and on the device of `like`."""
        queries, places = (torch.empty(capacity, dtype=torch.int32, device=like.device) for _ in range(2))
        values, lowers = (torch.empty(capacity, dtype=like.dtype, device=like.device) for _ in range(2))
        return cls(queries, places, values, lowers, torch.zeros(1, dtype=torch.int32, device=like.device))

    @property
    def capacity(self) -> int:
        return len(self.values)

    @property
    def is_full(self) -> bool:
        """Whether pairs were lost."""
        return int(self.count) > self.capacity

    def pairs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(pairs,) queries and places as int64, values and lower bounds as float64."""
        kept = slice(0, min(int(self.count), self.capacity))
        queries, places = (part[kept].long() for part in (self.queries, self.places))
        return queries, places, self.values[kept], self.lowers[kept].double()


class Candidates:
    """The candidates of q queries among the tiles so far.

    Args:
        patterns: number of patterns in all tiles.
        heavy: largest difference to the smallest value at which a pair carries enough weight to be rescored.
        like: of the type and on the device of the values.
        pooled: a kernel adds the tiles.
        whole: every pair that carries weight is kept, however many there are.
    """

    def __init__(
        self,
        queries: int,
        patterns: int,
        k: int,
        heavy: float,
        like: Tensor,
        *,
        pooled: bool = False,
        whole: bool = False,
    ) -> None:
        self.k, self.heavy, self.whole = k, heavy, whole
        width = k if whole else max(k, MOST)
        # One upper bound per block gives a sharp limit only where there are many blocks; otherwise take one per pair.
        self.singly = patterns < _MANY * BLOCK * width
        self.pool = PairPool.of(_POOLED * width * queries, like) if pooled else None
        if pooled:
            width = 1 << (width - 1).bit_length()  # a power of two, as arrays of a kernel have
        self.best = torch.full((queries, width), torch.inf, dtype=torch.float64, device=like.device)
        self.crowded = torch.zeros(queries, dtype=torch.bool, device=like.device)
        self._kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, minima: Tensor, slack: Tensor, start: int) -> None:
        """Add a tile.

        Args:
            values: (q, P) with P a multiple of `BLOCK`; inf where there is no admissible pattern, as in the padding.
            minima: (q, P / BLOCK) of the blocks.
            slack: (q, P / BLOCK) bounds on the rounding of a block's values.
            start: place of the first pattern.
        """
        uppers = minima + slack
        if self.singly:
            uppers = (values.view(len(values), -1, BLOCK) + slack[:, :, None]).flatten(1)
        both = torch.cat([self.best, uppers.double()], dim=1)
        self.best = k_smallest(both, self.best.shape[1])
        limits = self._limits()
        if values.device.type != "cpu":
            self._add_without_waiting(values, minima, slack, start, limits)
            return
        query, block = torch.nonzero((minima - slack).double() <= limits[:, None], as_tuple=True)
        near = values.view(len(values), -1, BLOCK)[query, block]
        self._keep(query, block, near, (near - slack[query, block][:, None]).double(), limits, start)

    def add_filtered(self, tile: FilterTile) -> bool:
        """Add a tile of products in bfloat16; False, and nothing is kept, where too many blocks are within reach."""
        self.best = k_smallest(torch.cat([self.best, tile.uppers.double()], dim=1), self.best.shape[1])
        limits = self._limits()
        within = tile.lowers.double() <= limits[:, None]
        if int(within.sum()) > _MOST_CELLS * len(within):
            return False
        query, block = torch.nonzero(within, as_tuple=True)
        near, lowers = tile.cells(query, block)
        self._keep(query, block, near, lowers.double(), limits, tile.start)
        return True

    def _keep(self, query: Tensor, block: Tensor, near: Tensor, lowers: Tensor, limits: Tensor, start: int) -> None:
        """Keep the pairs of some cells, (cells, 64) values and lower bounds, that are within the limits."""
        at, column = torch.nonzero((lowers <= limits[query][:, None]) & torch.isfinite(near), as_tuple=True)
        counts = torch.bincount(query[at], minlength=len(limits))
        self.crowded |= counts > (FILTERED if self.whole else CROWDED)
        at, column = (part[~self.crowded[query[at]]] for part in (at, column))
        self._kept.append((query[at], start + block[at] * BLOCK + column, near[at, column], lowers[at, column]))

    def _add_without_waiting(self, values: Tensor, minima: Tensor, slack: Tensor, start: int, limits: Tensor) -> None:
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
        self.crowded |= (counts > CROWDED) | (within.sum() > room) | (wanted.sum() > room)
        pairs = torch.nonzero_static(wanted, size=room, fill_value=-1)
        at, column = pairs.clamp(min=0).unbind(1)
        # A place of the list that holds no pair is beyond every limit.
        low = lowers[at, column].masked_fill(pairs[:, 0] < 0, torch.inf)
        self._kept.append((query[at], start + block[at] * BLOCK + column, near[at, column], low))

    def chosen(self, ids: Tensor) -> Chosen:
        """The pairs within the final limits, after all tiles; where pairs were lost all queries are crowded.

        Args:
            ids: (d,) the pattern at each place.
        """
        if self.pool is None:
            query, place, values, lowers = (torch.cat(parts) for parts in zip(*self._kept, strict=True))
        else:
            self.crowded |= self.pool.is_full
            query, place, values, lowers = self.pool.pairs()
        keep = (lowers <= self._limits()[query]) & (lowers < torch.inf) & ~self.crowded[query]
        return Chosen(query[keep].cpu(), ids[place[keep]].cpu(), values[keep].double().cpu())

    def _limits(self) -> Tensor:
        """(q,) the k-th smallest upper bound, up to the MOST-th while pairs carry weight; −inf if crowded."""
        heavy = self.best[:, 0] + self.heavy
        if not self.whole:
            heavy = torch.minimum(heavy, self.best[:, MOST - 1])
        limits = torch.maximum(self.best[:, self.k - 1], heavy)
        return limits.masked_fill(self.crowded, -torch.inf)
