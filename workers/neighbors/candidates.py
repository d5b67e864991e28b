"""What is known of each row before anything is settled: an upper bound, and the rows that could still be neighbours.

A state keeps, for each row and nested prefix, the k best upper bounds (of k different database rows), and as
candidates every database row whose lower bound does not exceed the worst of them. Merging two states and pruning is
associative and commutative, because pruning by an early, looser bound never drops what the final bound would keep:
tiles can be searched in any order, anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST_CANDIDATES = 512  # of one row, or 8 k for each prefix; with more it is lifted to a level that needs no list


@dataclass(frozen=True)
class Prefixes:
    """Which nested prefixes a row and a column (a database row) take part in.

    Attributes:
        of_row: (m,) int64 first prefix that asks this row.
        of_column: (n,) int64 first prefix whose database contains the column.
        count: number of prefixes.
    """

    of_row: Tensor
    of_column: Tensor
    count: int


@dataclass(frozen=True)
class Saved:
    """The upper bounds of some rows, and the number of additions, at one moment."""

    best: list[tuple[slice, Tensor]]
    added: int


@dataclass
class CandidateState:
    """Upper bounds and candidates of m rows.

    Attributes:
        best: (m, prefixes, k) float32, ascending: the k best upper bounds; inf where there are fewer.
        lifted: (m,) bool: rows with too many candidates to list; a higher level must search them from scratch.
        rows, columns: (candidates,) int32.
        lowers: (candidates,) float32.
    """

    best: Tensor
    lifted: Tensor
    rows: Tensor
    columns: Tensor
    lowers: Tensor
    _added: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Candidates held, those not yet pruned included."""
        return len(self.rows) + sum(len(lowers) for _, _, lowers in self._added)

    def limits(self, prefixes: Prefixes, rows: Tensor, of_column: Tensor) -> Tensor:
        """The k-th best upper bound of each row in the first prefix that holds both it and its column.

        −1, so that nothing is kept, for rows that were lifted.
        """
        limits = self.best[rows, torch.maximum(prefixes.of_row[rows], of_column), -1]
        return limits.masked_fill_(self.lifted[rows], -1.0)

    def offer(self, first: int, rows: slice, uppers: Tensor) -> None:
        """Upper bounds (len(rows), ≤ k) of different columns that belong to prefix `first` and all later ones."""
        k = self.best.shape[2]
        if k == 1:
            self.best[rows, first:, 0] = torch.minimum(self.best[rows, first:, 0], uppers)
            return
        for prefix in range(first, self.best.shape[1]):
            both = torch.cat([self.best[rows, prefix], uppers], dim=1)
            self.best[rows, prefix] = both.topk(k, dim=1, largest=False, sorted=True).values

    def save(self, *rows: slice) -> Saved:
        """What `restore` needs to undo everything that is done to some rows from now on."""
        return Saved([(part, self.best[part].clone()) for part in rows], len(self._added))

    def restore(self, saved: Saved) -> None:
        """Undo what was offered and added since `saved`."""
        for rows, best in saved.best:
            self.best[rows] = best
        del self._added[saved.added :]

    def add(self, rows: Tensor, columns: Tensor, lowers: Tensor) -> None:
        """More candidates, to be pruned later."""
        self._added.append((rows.int(), columns.int(), lowers))

    def prune(self, prefixes: Prefixes) -> None:
        """Drop the candidates beyond their row's upper bound, and lift the rows that still have too many."""
        parts = [(self.rows, self.columns, self.lowers), *self._added]
        self._added.clear()
        kept = [self._within(part, prefixes) for part in parts]
        self.rows, self.columns, self.lowers = (torch.cat(column) for column in zip(*kept, strict=True))
        counts = torch.bincount(self.rows, minlength=len(self.lifted))
        crowded = counts > max(MOST_CANDIDATES, 8 * self.best.shape[1] * self.best.shape[2])
        if crowded.any():
            self.lifted |= crowded
            self.prune(prefixes)

    def _within(self, part: tuple[Tensor, Tensor, Tensor], prefixes: Prefixes) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns, lowers = part
        keep = lowers <= self.limits(prefixes, rows.long(), prefixes.of_column[columns.long()])
        return rows[keep], columns[keep], lowers[keep]


def no_candidates(prefixes: Prefixes, k: int) -> CandidateState:
    """The state before anything was searched: the neutral element of `merge_candidates`."""
    device, m = prefixes.of_row.device, len(prefixes.of_row)
    best = torch.full((m, prefixes.count, k), torch.inf, device=device)
    lifted = torch.zeros(m, dtype=torch.bool, device=device)
    none = torch.empty(0, dtype=torch.int32, device=device)
    return CandidateState(best, lifted, none, none, torch.empty(0, device=device))


def merge_candidates(a: CandidateState, b: CandidateState, prefixes: Prefixes) -> CandidateState:
    """The state of two disjoint parts of the tiles together."""
    k = a.best.shape[2]
    best = torch.cat([a.best, b.best], dim=2).topk(k, dim=2, largest=False, sorted=True).values
    none = no_candidates(prefixes, k)
    added = [(state.rows, state.columns, state.lowers) for state in (a, b)]
    merged = CandidateState(
        best, a.lifted | b.lifted, none.rows, none.columns, none.lowers, [*added, *a._added, *b._added]
    )
    merged.prune(prefixes)
    return merged
