"""The state of a search between filter and rescoring: an upper bound per query, and its candidates.

A state keeps, for each row (query) and nested prefix, the k smallest upper bounds (of k different database rows), and
as candidates every database row whose lower bound does not exceed the largest of these k. A pair that is dropped is
farther than k other rows. Merging two states and pruning is associative and commutative, because an early, looser
upper bound never drops a pair that the final one would keep: tiles can be searched in any order and on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock

import torch
from torch import Tensor

from workers.neighbors.sorting import argsort, k_smallest

MOST_CANDIDATES = 512  # per row, or 8 k for each prefix; a row with more is searched by the float64 level


@dataclass(frozen=True)
class Prefixes:
    """The nested prefixes that contain a row and a column (a database row).

    Attributes:
        of_row: (m,) int64 first prefix that has this row as a query.
        of_column: (n,) int64 first prefix whose database contains the column.
        count: number of prefixes.
    """

    of_row: Tensor
    of_column: Tensor
    count: int


@dataclass
class CandidateState:
    """Upper bounds and candidates of m rows.

    Attributes:
        best: (m, prefixes, k) float32, ascending: the k best upper bounds; inf where there are fewer.
        lifted: (m,) bool: rows with too many candidates to list; the float64 level searches them from scratch.
        rows, columns: (candidates,) int32.
        lowers: (candidates,) float32.
        lock: held by the thread that changes the state; several compute tiles.
    """

    best: Tensor
    lifted: Tensor
    rows: Tensor
    columns: Tensor
    lowers: Tensor
    _added: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Number of candidates, including those not yet pruned."""
        return len(self.rows) + sum(len(lowers) for _, _, lowers in self._added)

    def limits(self, prefixes: Prefixes, rows: Tensor, of_column: Tensor) -> Tensor:
        """The k-th smallest upper bound of each row in the first prefix that holds both it and its column.

        −1 for lifted rows, so that nothing is kept.
        """
        limits = self.best[rows, torch.maximum(prefixes.of_row[rows], of_column), -1]
        return limits.masked_fill_(self.lifted[rows], -1.0)

    def offer(self, first: int, rows: Tensor, uppers: Tensor) -> None:
        """Take (len(rows), ≤ k) upper bounds of different columns in account, for prefix `first` and all later ones."""
        k = self.best.shape[2]
        if k == 1:
            self.best[rows, first:, 0] = torch.minimum(self.best[rows, first:, 0], uppers)
            return
        for prefix in range(first, self.best.shape[1]):
            both = torch.cat([self.best[rows, prefix], uppers], dim=1)
            self.best[rows, prefix] = k_smallest(both, k)

    def save(self, *rows: slice) -> list[tuple[slice, Tensor]]:
        """A copy of the upper bounds of some rows."""
        with self.lock:
            return [(part, self.best[part].clone()) for part in rows]

    def restore(self, saved: list[tuple[slice, Tensor]]) -> None:
        """Undo all offers to some rows since `save`, so that those of a tile can be made again.

        Offers of other threads are lost with them: looser bounds, which drop nothing. What was added stays, as a pair
        that is added twice is a candidate once.
        """
        with self.lock:
            for rows, best in saved:
                self.best[rows] = best

    def add(self, rows: Tensor, columns: Tensor, lowers: Tensor) -> None:
        """Add candidates; they are pruned later."""
        self._added.append((rows.int(), columns.int(), lowers))

    def prune(self, prefixes: Prefixes) -> None:
        """Drop the candidates beyond their row's upper bound, and mark the rows that still have too many as lifted."""
        parts = [(self.rows, self.columns, self.lowers), *self._added]
        self._added.clear()
        rows, columns, lowers = (torch.cat(column) for column in zip(*parts, strict=True))
        kth = self.best[:, :, -1].masked_fill(self.lifted[:, None], -1.0)
        first = torch.maximum(prefixes.of_row.index_select(0, rows), prefixes.of_column.index_select(0, columns))
        limits = kth.view(-1).index_select(0, first.add_(rows, alpha=kth.shape[1]))
        keep = torch.nonzero(lowers <= limits)[:, 0]  # a list selects three columns faster than a mask
        self.rows, self.columns, self.lowers = (of.index_select(0, keep) for of in (rows, columns, lowers))
        counts = torch.bincount(self.rows, minlength=len(self.lifted))
        crowded = counts > max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])
        if crowded.any():
            self.lifted |= crowded
            self.prune(prefixes)

    def cut(self, ranges: Sequence[slice]) -> list[CandidateState]:
        """The states of consecutive ranges of rows, all of them together, each counted from the first of its range.

        The state must be pruned. The candidates of each are ordered by row.
        """
        order = argsort(self.rows)
        rows, columns, lowers = self.rows[order], self.columns[order], self.lowers[order]
        starts = torch.tensor([part.start for part in ranges], dtype=rows.dtype, device=rows.device)
        edges = [*torch.searchsorted(rows, starts).tolist(), len(rows)]
        return [
            CandidateState(
                self.best[part], self.lifted[part], rows[low:high] - part.start, columns[low:high], lowers[low:high]
            )
            for part, (low, high) in zip(ranges, pairwise(edges), strict=True)
        ]

    def _within(self, part: tuple[Tensor, Tensor, Tensor], prefixes: Prefixes) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns, lowers = part
        keep = lowers <= self.limits(prefixes, rows.long(), prefixes.of_column[columns.long()])
        return rows[keep], columns[keep], lowers[keep]


def no_candidates(prefixes: Prefixes, k: int) -> CandidateState:
    """The state before the first tile: the neutral element of `merge_candidates`."""
    device, m = prefixes.of_row.device, len(prefixes.of_row)
    best = torch.full((m, prefixes.count, k), torch.inf, device=device)
    lifted = torch.zeros(m, dtype=torch.bool, device=device)
    none = torch.empty(0, dtype=torch.int32, device=device)
    return CandidateState(best, lifted, none, none, torch.empty(0, device=device))


def merge_candidates(a: CandidateState, b: CandidateState, prefixes: Prefixes) -> CandidateState:
    """The state of two disjoint sets of tiles together."""
    k = a.best.shape[2]
    best = k_smallest(torch.cat([a.best, b.best], dim=2), k)
    none = no_candidates(prefixes, k)
    added = [(state.rows, state.columns, state.lowers) for state in (a, b)]
    merged = CandidateState(
        best, a.lifted | b.lifted, none.rows, none.columns, none.lowers, [*added, *a._added, *b._added]
    )
    merged.prune(prefixes)
    return merged
