"""Pairs of slots that may be neighbours, and the k-th smallest of their values per row and nested prefix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.devices.device import CPU
from workers.neighbors.sorting import argsort, ascending

_AT_ONCE = 2**20  # pairs that are sorted or rescored at once: sorting needs several times their memory


@dataclass(frozen=True)
class Pairs:
    """(pairs,) columns, on one device.

    Attributes:
        rows, columns: int64 slots of the query and of the database row.
        prefixes: int64 first prefix that holds both.
        lowers: float32 lower bounds on the distances.
        uppers: float32 upper bounds; after rescoring, the float64 distances themselves.
    """

    rows: Tensor
    columns: Tensor
    prefixes: Tensor
    lowers: Tensor
    uppers: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Tensor) -> Pairs:
        return Pairs(*(column[chosen] for column in self._columns))

    def to(self, device: torch.device) -> Pairs:
        """The same pairs on a device."""
        return Pairs(*(column.to(device) for column in self._columns))

    @property
    def _columns(self) -> tuple[Tensor, ...]:
        return self.rows, self.columns, self.prefixes, self.lowers, self.uppers


def no_pairs(device: torch.device = CPU) -> Pairs:
    """The neutral element of `join`."""
    none = torch.empty(0, dtype=torch.int64, device=device)
    return Pairs(none, none, none, none.float(), none.double())


def join(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of the parts, in order; a part that has all of them itself."""
    filled = [part for part in parts if len(part)] or list(parts[:1])
    if len(filled) < 2:
        return filled[0] if filled else no_pairs()
    return Pairs(*(torch.cat(column) for column in zip(*(part._columns for part in filled), strict=True)))


def order_by_row(pairs: Pairs, values: Tensor) -> Tensor:
    """The order by row, then by value (0 or more); pairs that are equal in both come in any order."""
    if values.dtype == torch.float32:
        # Floats that are not negative have the order of their bits: one sort handles both keys.
        return argsort(pairs.rows * 2**32 + values.view(torch.int32))
    by_value = argsort(values)
    places = torch.arange(len(values), device=values.device)
    return by_value[ascending(pairs.rows[by_value] * 2**32 + places) % 2**32]


def rank_in_row(rows: Tensor) -> Tensor:
    """The rank of each element within its run of equal, ascending `rows`."""
    return torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)


def row_blocks(rows: Tensor) -> Iterator[slice]:
    """Consecutive slices of ascending `rows`, each of whole rows, of about a million pairs unless one row has more."""
    start = 0
    while start < len(rows):
        stop = start + _AT_ONCE
        if stop < len(rows):
            stop = int(torch.searchsorted(rows, rows[stop]))
            if stop <= start:
                stop = int(torch.searchsorted(rows, rows[start], right=True))
        yield slice(start, min(stop, len(rows)))
        start = stop


def in_blocks(pairs: Pairs) -> Iterator[Pairs]:
    """The pairs in parts that share no row."""
    if len(pairs) <= _AT_ONCE:
        yield pairs
        return
    order = torch.argsort(pairs.rows, stable=True)
    for block in row_blocks(pairs.rows[order]):
        yield pairs.take(order[block])


def kth_smallest(pairs: Pairs, m: int, prefixes: int, k: int) -> Tensor:
    """(m, prefixes) each row's k-th smallest of `uppers` among the pairs of each prefix; inf where there are fewer."""
    smallest = torch.full((m, prefixes), torch.inf, dtype=pairs.uppers.dtype, device=pairs.uppers.device)
    if k == 1:
        place = pairs.rows * prefixes + pairs.prefixes
        smallest.view(-1).scatter_reduce_(0, place, pairs.uppers, "amin")
        return smallest.cummin(dim=1).values
    for part in in_blocks(pairs):
        _put_kth_smallest(part, smallest, k)
    return smallest


def _put_kth_smallest(pairs: Pairs, smallest: Tensor, k: int) -> None:
    """Write the k-th smallest of `uppers` of the rows that `pairs` has."""
    order = order_by_row(pairs, pairs.uppers)
    rows, first, uppers = pairs.rows[order], pairs.prefixes[order], pairs.uppers[order]
    for prefix in range(smallest.shape[1]):
        here = first <= prefix
        count = torch.bincount(rows[here], minlength=len(smallest))
        kth = count.cumsum(0) - count + k - 1
        enough = count >= k
        smallest[enough, prefix] = uppers[here][kth[enough]]
