"""A prepared search: both of its sides, encoded, and how its tiles are made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from workers.neighbors.candidates import Prefixes
from workers.neighbors.layout import BLOCK
from workers.neighbors.side import Side

_MINIMA_PER_NEIGHBOUR, _NARROWEST = 4, 4


@dataclass(frozen=True)
class Search:
    """A search, prepared: both sides encoded, and the size of its tiles.

    Attributes:
        queries, database: the same object when rows are searched among themselves.
        prefixes: the prefixes that their slots belong to.
        unique_codes: no two rows share a code, so that the only excluded pair of a row is that with itself.
        k: neighbours per query.
        tile: slots on a side of a tile, a multiple of 64.
        strips: tiles are searched in strips whose pairs within reach are listed on the device (strip_search.py).
        fused: a Triton kernel lists them without writing the products to memory.
    """

    queries: Side
    database: Side
    prefixes: Prefixes
    unique_codes: bool
    k: int
    tile: int
    strips: bool = False
    fused: bool = False

    @property
    def symmetric(self) -> bool:
        return self.queries is self.database

    @property
    def group(self) -> int:
        """Columns of which one minimum is taken: a block's, or fewer where k bounds need more minima than that.

        Each minimum bounds the distance to one row, so k of them bound the k-th distance, the more tightly the more
        there are.
        """
        width = BLOCK
        while width > _NARROWEST and self.tile // width < _MINIMA_PER_NEIGHBOUR * self.k:
            width //= 2
        return width

    def of_queries(self, slots: slice) -> Search:
        """The search of some query slots, of whole blocks, in the whole database."""
        prefixes = replace(self.prefixes, of_row=self.prefixes.of_row[slots])
        return replace(self, queries=self.queries.part(slots), prefixes=prefixes)

    def panels(self) -> list[slice]:
        """Panels of query slots, whose states can be computed separately and merged in any order."""
        slots = self.queries.layout.slots
        return [slice(start, min(start + self.tile, slots)) for start in range(0, slots, self.tile)]


def left_columns(search: Search, panel: slice) -> Tensor:
    """(m, columns) left columns of some query slots."""
    return search.database.encoding.left(search.queries.right(panel))
