"""A pool of pairs on a device, to which a kernel appends through a counter."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Pool:
    """Room for pairs of slots and their products.

    Attributes:
        rows, columns: (capacity,) int32.
        values: (capacity,) float32 products.
        count: (2,) int32: pairs that were appended, of which those beyond the capacity are lost, and how many of them
            the last `keep` left.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor
    count: Tensor

    @classmethod
    def of(cls, capacity: int, device: torch.device) -> Pool:
        """An empty pool."""
        rows, columns = (torch.empty(capacity, dtype=torch.int32, device=device) for _ in range(2))
        values = torch.empty(capacity, dtype=torch.float32, device=device)
        return cls(rows, columns, values, torch.zeros(2, dtype=torch.int32, device=device))

    @property
    def capacity(self) -> int:
        return len(self.rows)

    def append(self, rows: Tensor, columns: Tensor, values: Tensor) -> None:
        """Append pairs as the kernel does; for torch, which waits for their number."""
        start = int(self.count[0])
        fit = max(0, min(len(rows), self.capacity - start))
        self.rows[start : start + fit] = rows[:fit].int()
        self.columns[start : start + fit] = columns[:fit].int()
        self.values[start : start + fit] = values[:fit]
        self.count[0] += len(rows)

    def keep(self, chosen: Tensor) -> None:
        """Keep some of the first pairs, in their order; nothing waits for their number.

        Args:
            chosen: (n,) bool; there are n pairs.
        """
        n = len(chosen)
        place = torch.where(chosen, chosen.cumsum(0) - 1, n)  # the place after the last is for those that are dropped
        for column in (self.rows, self.columns, self.values):
            column[:n] = column.new_empty(n + 1).scatter_(0, place, column[:n])[:n]
        self.count[:] = chosen.sum()

    def grown(self, capacity: int) -> Pool:
        """A larger pool with the same pairs."""
        larger = Pool.of(capacity, self.rows.device)
        for name in ("rows", "columns", "values"):
            getattr(larger, name)[: self.capacity] = getattr(self, name)
        larger.count.copy_(self.count)
        return larger
