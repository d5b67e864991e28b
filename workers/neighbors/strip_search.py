"""The filter on a GPU: strips of tiles, whose pairs within reach are listed on the device.

A strip is a panel of queries and all columns of a part. Before the first strip a pass over a sample of the database
gives every row a limit, an upper bound on its k-th distance. A strip's pairs within these limits are appended to a pool
(appending.py); then the pool gives tighter limits and loses the pairs beyond them. The host waits once for each strip,
to learn how many pairs there are. A pool that was too small is made larger, and the strip is computed again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from service.errors import OutOfMemory
from workers.devices.memory import free_bytes, free_memory, is_out_of_memory
from workers.neighbors.appending import Strip, append, reach_of
from workers.neighbors.candidates import MOST_CANDIDATES, CandidateState
from workers.neighbors.encoding import ABSENT
from workers.neighbors.layout import BLOCK
from workers.neighbors.pool import Pool
from workers.neighbors.search import Search, left_columns
from workers.neighbors.sorting import k_smallest
from workers.neighbors.strips import Part, slot_pairs, strips_of
from workers.neighbors.ticking import Tick
from workers.neighbors.tile_bounds import pair_bounds

_FIRST_PAIRS = 2**20
_BYTES_PER_PAIR = 128  # of the pool and of what is computed from it
_POOL_SHARE = 0.25  # of the free memory
_GROWTH = 1.25  # of the pool since the limits were tightened
_LEAST_SAMPLE, _MOST_SAMPLE = 1024, 65_536
_WANTED_PER_ROW = 512  # candidates of a row before its limit is tightened


def search_strips(search: Search, state: CandidateState, part: Part, tick: Tick) -> None:
    """Add all tiles of a part to a state without candidates; `tick` gets the share of slot pairs done.

    Raises:
        OutOfMemory: the device does not hold the pairs of 64 columns.
    """
    strips = strips_of(search, part)
    work, done, total = StripSearch(search, state), 0, slot_pairs(strips)
    work.limit_by_sample()
    for panel, columns in strips:
        work.add(panel, columns)
        done += slot_pairs([(panel, columns)])
        tick(done / total)
    work.store()


class StripSearch:
    """The pool and the limits of a search.

    Attributes:
        limits: (slots, prefixes) upper bounds on the k-th distance; −1 for rows that are not searched.
    """

    def __init__(self, search: Search, state: CandidateState) -> None:
        self.search, self.state = search, state
        self.limits = state.best[:, :, -1].clone()
        self.lifted = state.lifted.clone()
        self.pool = Pool.of(_FIRST_PAIRS, self.limits.device)
        self.most_pairs = max(_FIRST_PAIRS, int(_POOL_SHARE * free_bytes(self.limits.device)) // _BYTES_PER_PAIR)

    def limit_by_sample(self) -> None:
        """Tighten the limits of all rows by the distances to a sample of the database."""
        search, device = self.search, self.limits.device
        stretches = search.database.layout.segments(slice(0, len(search.database.layout.block_prefixes)))
        step = max(1, search.database.layout.slots // self._sample_size())
        slots = [torch.arange(at.start * BLOCK, at.stop * BLOCK, step, device=device) for _, at in stretches]
        columns = [search.database.right_of(part) for part in slots]
        for panel in search.panels():
            left = left_columns(search, panel)
            uppers = torch.empty((len(left), 0), device=device)
            for (prefix, _), of_stretch, right in zip(stretches, slots, columns, strict=True):
                found = self._nearest_of(panel, left, of_stretch, right)
                uppers = torch.cat([uppers, found], dim=1)
                if uppers.shape[1] >= search.k:
                    uppers = k_smallest(uppers, search.k)
                    limits = self.limits[panel, prefix:]
                    torch.minimum(limits, uppers[:, -1:], out=limits)

    def _sample_size(self) -> int:
        wanted = self.search.k * self.search.database.layout.slots // _WANTED_PER_ROW
        return min(_MOST_SAMPLE, max(_LEAST_SAMPLE, 16 * self.search.k, wanted))

    def _nearest_of(self, panel: slice, left: Tensor, slots: Tensor, right: Tensor) -> Tensor:
        """(m, ≤ k) upper bounds on the distances to different admissible rows among some database slots."""
        search, encoding = self.search, self.search.database.encoding
        values = encoding.values(encoding.product(left, right))
        same = search.queries.codes[panel][:, None] == search.database.codes[slots]
        least = values.masked_fill(same, 2 * ABSENT).topk(min(search.k, len(slots)), dim=1, largest=False)
        rows = torch.arange(panel.start, panel.stop, device=slots.device)[:, None].expand_as(least.indices)
        return pair_bounds(search, rows, slots[least.indices], least.values)[1]

    def add(self, panel: slice, columns: slice) -> None:
        """Add a strip; one whose pairs or tiles do not fit into the memory is computed in halves."""
        left = left_columns(self.search, panel)
        most = columns.stop - columns.start if self.search.database.matrix is not None else self.search.tile
        start, width = columns.start, most
        while start < columns.stop:
            piece = slice(start, min(start + width, columns.stop))
            if self._add_piece(panel, piece, left):
                start = piece.stop
            elif width <= BLOCK:
                raise OutOfMemory("the device's memory does not hold the pairs of 64 columns")
            else:
                width = max(BLOCK, width // 2 // BLOCK * BLOCK)

    def _add_piece(self, panel: slice, columns: slice, left: Tensor) -> bool:
        """Add a piece of a strip; False if the memory does not hold it, and nothing was added."""
        before = self.pool.count.clone()
        try:
            while True:
                append(self._strip(panel, columns, left), self.pool)
                count, kept = self.pool.count.tolist()  # the one wait of a strip
                if count <= self.pool.capacity:
                    break
                self.pool.count.copy_(before)
                if count > self.most_pairs:
                    return False
                self.pool = self.pool.grown(min(self.most_pairs, count + count // 4))
            if count > _GROWTH * kept:
                self._tighten(count)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return True
        self.pool.count.copy_(before)
        free_memory()
        return False

    def _strip(self, panel: slice, columns: slice, left: Tensor) -> Strip:
        search = self.search
        of_rows = reach_of(self.limits, search.queries.errors)
        of_columns = of_rows if search.symmetric else of_rows[:0]
        return Strip(search, panel, columns, left, search.database.right(columns), of_rows, of_columns)

    def _tighten(self, count: int) -> None:
        """Lower the limits by the first `count` pairs of the pool, and keep those within; nothing waits."""
        search, prefixes = self.search, self.search.prefixes
        rows, columns = self.pool.rows[:count].long(), self.pool.columns[:count].long()
        first = torch.maximum(prefixes.of_row[rows], prefixes.of_column[columns])
        lowers, uppers = pair_bounds(search, rows, columns, self.pool.values[:count])
        kth = kth_uppers(rows, first, uppers, len(self.limits), prefixes.count, search.k)
        self.limits = torch.minimum(self.limits, kth)
        near = lowers <= self.limits[rows, first]
        counts = torch.zeros(len(self.limits), dtype=torch.int32, device=rows.device).index_add_(0, rows, near.int())
        self.lifted |= counts > max(MOST_CANDIDATES, 8 * prefixes.count * search.k)
        self.limits = self.limits.masked_fill(self.lifted[:, None], -1.0)
        self.pool.keep(near & ~self.lifted[rows])

    def store(self) -> None:
        """Put the candidates and their bounds into the state."""
        self._tighten(int(self.pool.count[0]))
        count, search, state, device = int(self.pool.count[0]), self.search, self.state, self.limits.device
        state.rows, state.columns = self.pool.rows[:count].clone(), self.pool.columns[:count].clone()
        rows, columns = state.rows.long(), state.columns.long()
        first = torch.maximum(search.prefixes.of_row[rows], search.prefixes.of_column[columns])
        state.lowers, uppers = pair_bounds(search, rows, columns, self.pool.values[:count])
        state.lifted |= self.lifted
        for prefix in range(search.prefixes.count):
            key, _ = torch.sort(_key(rows, torch.where(first <= prefix, uppers, torch.inf)))
            of_row = key >> 32
            rank = torch.arange(count, device=device) - torch.searchsorted(of_row, of_row)
            best = rank < search.k
            here = state.best[:, prefix]
            here[of_row[best], rank[best]] = torch.minimum(here[of_row[best], rank[best]], _value(key[best]))


def kth_uppers(rows: Tensor, first: Tensor, uppers: Tensor, slots: int, prefixes: int, k: int) -> Tensor:
    """(slots, prefixes) the k-th smallest upper bound of each slot in each prefix, inf for fewer; nothing waits.

    Args:
        rows, first, uppers: (pairs,) slot, first prefix and upper bound of each pair; those of a slot are of different
            columns.
    """
    if k == 1:
        least = torch.full((slots * prefixes,), torch.inf, device=uppers.device)
        least.scatter_reduce_(0, rows * prefixes + first, uppers, "amin")
        return least.view(slots, prefixes).cummin(dim=1).values
    every, found = torch.arange(slots, device=rows.device), []
    for prefix in range(prefixes):
        key, _ = torch.sort(_key(rows, torch.where(first <= prefix, uppers, torch.inf)))
        of_row = torch.cat([key >> 32, every.new_full((1,), slots)])
        at = (torch.searchsorted(of_row, every) + k - 1).clamp(max=len(rows))
        values = torch.cat([_value(key), uppers.new_full((1,), torch.inf)])
        found.append(torch.where(of_row[at] == every, values[at], torch.inf))
    return torch.stack(found, dim=1)


def _key(rows: Tensor, values: Tensor) -> Tensor:
    """Keys in the order of rows, then values: floats that are not negative have the order of their bits."""
    return rows * 2**32 + values.contiguous().view(torch.int32)


def _value(key: Tensor) -> Tensor:
    return (key & (2**32 - 1)).int().view(torch.float32)
