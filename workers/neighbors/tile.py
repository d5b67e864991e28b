"""One tile of products on a CPU: minima per row and block, per column and block, and the products of single cells."""

from __future__ import annotations

from torch import Tensor

from workers.neighbors.encoding import Encoding
from workers.neighbors.layout import BLOCK


class PlainTile:
    """The whole matrix of products of m rows and n columns, in the encoding's ordered type.

    A group is `width` columns (or rows), a part of a block; a *cell* is one row (or column) and a group. All values are
    float32 half squared distances, at least `ABSENT` for excluded pairs.
    """

    def __init__(
        self, encoding: Encoding, left: Tensor, right: Tensor, excluded: Tensor | None, width: int = BLOCK
    ) -> None:
        """`excluded` is an (m, n) mask of excluded pairs, or None."""
        self._encoding, self._product = encoding, encoding.product(left, right)
        if excluded is not None:
            encoding.exclude(self._product, excluded)
        self._rowwise = self._product.view(len(left), -1, width)
        self._columnwise = self._product.view(-1, width, len(right))

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
