"""One tile of products on a CPU: minima per row and block, per column and block, and the products of single cells."""

from __future__ import annotations

from threading import local

import torch
from torch import Tensor

from workers.neighbors.encoding import Encoding
from workers.neighbors.layout import BLOCK
from workers.neighbors.search import Search, left_columns


class Tiles(local):
    """The tiles of a search; each thread keeps the left columns of its last panel, that of its next tile most often."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._panel: slice | None = None
        self._left = torch.empty(0)

    def tile(self, panel: slice, columns: slice, width: int = BLOCK) -> PlainTile:
        """The tile of some query and some database slots; pairs of equal code are excluded.

        Args:
            width: columns, or rows, of which one minimum is taken.
        """
        search = self.search
        if self._panel != panel:
            self._panel, self._left = panel, left_columns(search, panel)
        tile = PlainTile(search.database.encoding, self._left, search.database.right(columns), width)
        if not (search.symmetric and search.unique_codes):
            tile.exclude(search.queries.codes[panel][:, None] == search.database.codes[columns])
        elif columns.start < panel.stop:
            tile.exclude_diagonal(columns.start - panel.start)
        return tile


class PlainTile:
    """The whole matrix of products of m rows and n columns, in the encoding's ordered type.

    A group is `width` columns (or rows), a part of a block; a *cell* is one row (or column) and a group. All values are
    float32 half squared distances, at least `ABSENT` for excluded pairs.
    """

    def __init__(self, encoding: Encoding, left: Tensor, right: Tensor, width: int = BLOCK) -> None:
        self._encoding, self._product = encoding, encoding.product(left, right)
        self._rowwise = self._product.view(len(left), -1, width)
        self._columnwise = self._product.view(-1, width, len(right))

    def exclude(self, pairs: Tensor) -> None:
        """Exclude the pairs of an (m, n) mask."""
        self._product.masked_fill_(pairs, self._encoding.excluded)

    def exclude_diagonal(self, first_row: int) -> None:
        """Exclude the pairs of column 0 with row `first_row`, of column 1 with the next, and so on."""
        self._product.diagonal(-first_row).fill_(self._encoding.excluded)

    def along_rows(self) -> Tensor:
        """(m, n / width) the smallest product of each row with each group of columns."""
        return self._encoding.values(self._rowwise.amin(dim=2))

    def along_columns(self) -> Tensor:
        """(n, m / width) the smallest product of each column with each group of rows."""
        return self._encoding.values(self._columnwise.amin(dim=1).t().contiguous())

    def cells_of_rows(self, row: Tensor, group: Tensor) -> Tensor:
        """(cells, width) all products of some rows with some groups of columns."""
        return self._encoding.values(self._rowwise[row, group])

    def cells_of_columns(self, column: Tensor, group: Tensor) -> Tensor:
        """(cells, width) all products of some columns with some groups of rows."""
        return self._encoding.values(self._columnwise[group, :, column].contiguous())
