"""A tile on a GPU by Triton: the product, the exclusion and the minima in one kernel.

Writing a tile of products to memory and reading it twice would take longer than computing it on tensor cores. The few
cells that can hold a neighbour are computed again, in float32, from the encoded rows.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]  # comes with torch for CUDA
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from workers.neighbors.layout import BLOCK

_ROWS, _COLUMNS, _DEPTH = 128, 128, 32  # of one program; the encoding's columns are a multiple of 32
_CELLS_AT_ONCE = 2048


@triton.jit
def _minima(  # noqa: ANN202
    left, right, left_codes, right_codes, along_rows, along_columns, m, n, columns: tl.constexpr,  # noqa: ANN001
    by_code: tl.constexpr, rows_here: tl.constexpr, columns_here: tl.constexpr, depth: tl.constexpr,
    block: tl.constexpr, absent: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * rows_here + tl.arange(0, rows_here)
    column = tl.program_id(1) * columns_here + tl.arange(0, columns_here)
    inner = tl.arange(0, depth)
    product = tl.zeros((rows_here, columns_here), dtype=tl.float32)
    for start in range(0, columns, depth):
        a = tl.load(left + row[:, None] * columns + start + inner[None, :], mask=row[:, None] < m, other=0.0)
        b = tl.load(right + column[:, None] * columns + start + inner[None, :], mask=column[:, None] < n, other=0.0)
        product += tl.dot(a, tl.trans(b), input_precision="ieee")
    if by_code:
        own = tl.load(left_codes + row, mask=row < m, other=0)
        other = tl.load(right_codes + column, mask=column < n, other=0)
        product = tl.where(own[:, None] == other[None, :], absent, product)
    product = tl.where((row[:, None] < m) & (column[None, :] < n), product, absent)
    of_rows = tl.min(tl.reshape(product, (rows_here, columns_here // block, block)), axis=2)
    at = tl.program_id(1) * (columns_here // block) + tl.arange(0, columns_here // block)
    tl.store(along_rows + row[:, None] * (n // block) + at[None, :], of_rows,
             mask=(row[:, None] < m) & (at[None, :] < n // block))  # fmt: skip
    of_columns = tl.min(tl.reshape(product, (rows_here // block, block, columns_here)), axis=1)
    at = tl.program_id(0) * (rows_here // block) + tl.arange(0, rows_here // block)
    tl.store(along_columns + column[None, :] * (m // block) + at[:, None], of_columns,
             mask=(column[None, :] < n) & (at[:, None] < m // block))  # fmt: skip


class FusedTile:
    """The minima of a tile, computed without writing its products to memory."""

    def __init__(self, left: Tensor, right: Tensor, codes: tuple[Tensor, Tensor] | None, width: int = BLOCK) -> None:
        """(m, columns) left and (n, columns) right panels; pairs of equal `codes`, (m,) and (n,), are excluded."""
        m, n = len(left), len(right)
        self._left, self._right, self._codes = left, right, codes
        self._along_rows = torch.empty((m, n // width), device=left.device)
        self._along_columns = torch.empty((n, m // width), device=left.device)
        left_codes, right_codes = codes if codes is not None else (self._along_rows, self._along_columns)
        kernel: Any = _minima
        kernel[(triton.cdiv(m, _ROWS), triton.cdiv(n, _COLUMNS))](
            left, right, left_codes, right_codes, self._along_rows, self._along_columns, m, n, left.shape[1],
            by_code=codes is not None, rows_here=_ROWS, columns_here=_COLUMNS, depth=_DEPTH, block=width, absent=1e38,
        )  # fmt: skip

    def along_rows(self) -> Tensor:
        return self._along_rows

    def along_columns(self) -> Tensor:
        return self._along_columns

    def cells_of_rows(self, row: Tensor, block: Tensor) -> Tensor:
        return _cells(self._left, self._right, self._codes, row, block)

    def cells_of_columns(self, column: Tensor, block: Tensor) -> Tensor:
        codes = None if self._codes is None else (self._codes[1], self._codes[0])
        return _cells(self._right, self._left, codes, column, block)


def _cells(rows: Tensor, others: Tensor, codes: tuple[Tensor, Tensor] | None, row: Tensor, block: Tensor) -> Tensor:
    """(cells, 64) float32 products of rows with the 64 others of a block."""
    found = torch.empty((len(row), BLOCK), device=rows.device)
    blocks = others.view(-1, BLOCK, others.shape[1])
    for at in torch.arange(len(row), device=rows.device).split(_CELLS_AT_ONCE):
        product = torch.bmm(blocks[block[at]].float(), rows[row[at]].float()[:, :, None])[:, :, 0]
        if codes is not None:
            same = codes[1].view(-1, BLOCK)[block[at]] == codes[0][row[at]][:, None]
            product = product.masked_fill(same, 1e38)
        found[at] = product
    return found
