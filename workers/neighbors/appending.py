"""The pairs of a strip of tiles that are within reach of their rows, appended to a pool: by torch, or by a kernel.

A product v of a row within `reach` = limit + e of a column of error E and norm M can belong to a pair whose lower bound
is within the row's limit only if (filtering.py)

    v ≤ ((reach + E)² + γ (N + M)² + 2 absolute) / (2 (1 − relative)).

E and M are the largest of a tile's columns. Pairs are listed with their products, and their own bounds decide later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from workers.neighbors.layout import BLOCK
from workers.neighbors.pool import Pool
from workers.neighbors.search import Search
from workers.neighbors.tile_bounds import LONGEST, SLACK

_COLUMNS = 8192  # of one product of torch


@dataclass(frozen=True)
class Strip:
    """Some query slots and some database slots.

    Attributes:
        left, right: (m, columns), (n, columns) their encoded rows.
        row_reach, column_reach: (slots, prefixes) limit + error of every slot; −1 where no pair is wanted.
    """

    search: Search
    rows: slice
    columns: slice
    left: Tensor
    right: Tensor
    row_reach: Tensor
    column_reach: Tensor

    @property
    def by_code(self) -> bool:
        """Whether pairs of equal code must be searched for; among rows of unique codes there are none."""
        return not (self.search.symmetric and self.search.unique_codes)


@dataclass(frozen=True)
class Rectangle:
    """A part of a strip in which `prefix` is the first prefix that holds a row and a column."""

    rows: slice
    columns: slice
    prefix: int


def reach_of(limits: Tensor, errors: Tensor) -> Tensor:
    """(slots, prefixes) how far a row of each slot reaches; negative limits reach nothing."""
    reach = (limits * (1 + 2 * SLACK)).clamp(max=LONGEST) + errors[:, None]
    return torch.where(limits < 0, -1.0, reach).contiguous()


def rectangles(strip: Strip) -> Iterator[Rectangle]:
    """The rectangles of a strip; in a symmetric search those with a pair above the diagonal."""
    for rows, of_rows in _segments(strip.search.queries.layout, strip.rows):
        for columns, of_columns in _segments(strip.search.database.layout, strip.columns):
            if not strip.search.symmetric or columns.stop > rows.start + 1:
                yield Rectangle(rows, columns, max(of_rows, of_columns))


def _segments(layout: Any, slots: slice) -> Iterator[tuple[slice, int]]:
    blocks = slice(slots.start // BLOCK, slots.stop // BLOCK)
    for prefix, part in layout.segments(blocks):
        yield slice(slots.start + part.start * BLOCK, slots.start + part.stop * BLOCK), prefix


def append(strip: Strip, pool: Pool) -> None:
    """Append the pairs of a strip; in a symmetric search each of a pair's rows that reaches the other, as its row."""
    for rectangle in rectangles(strip):
        if strip.search.fused:
            append_fused(strip, rectangle, pool)
        else:
            append_plain(strip, rectangle, pool)


def append_plain(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    """Append the pairs of a rectangle by torch."""
    search, rows = strip.search, rectangle.rows
    left = strip.left[rows.start - strip.rows.start : rows.stop - strip.rows.start]
    for start in range(rectangle.columns.start, rectangle.columns.stop, _COLUMNS):
        columns = slice(start, min(start + _COLUMNS, rectangle.columns.stop))
        if search.symmetric and columns.stop <= rows.start + 1:
            continue
        right = strip.right[columns.start - strip.columns.start : columns.stop - strip.columns.start]
        encoding = search.database.encoding
        values = encoding.values(encoding.product(left, right))
        row, column = (torch.arange(part.start, part.stop, device=values.device) for part in (rows, columns))
        wanted = torch.ones_like(values, dtype=torch.bool)
        if strip.by_code:
            wanted &= search.queries.codes[rows][:, None] != search.database.codes[columns]
        if search.symmetric:
            wanted &= column > row[:, None]
        within = _largest(search, strip.row_reach[rows, rectangle.prefix], rows, columns)
        at, other = torch.nonzero(wanted & (values <= within[:, None]), as_tuple=True)
        pool.append(row[at], column[other], values[at, other])
        if search.symmetric:
            within = _largest(search, strip.column_reach[columns, rectangle.prefix], columns, rows)
            at, other = torch.nonzero(wanted & (values <= within), as_tuple=True)
            pool.append(column[other], row[at], values[at, other])


def threshold_numbers(search: Search) -> tuple[float, float, float]:
    """γ, 2 absolute, and the factor before the bound; the factor covers the rounding of the bound itself."""
    encoding = search.database.encoding
    return encoding.gamma, 2 * encoding.absolute, (1 + 2 * SLACK) / (2 * (1 - encoding.relative))


def _largest(search: Search, reach: Tensor, slots: slice, others: slice) -> Tensor:
    """(m,) the largest product within reach of each slot, for the others."""
    gamma, twice_absolute, factor = threshold_numbers(search)
    own = search.queries if slots is not others and not search.symmetric else search.database
    side = search.database
    error, norm = side.errors[others].amax(), side.norms[others].amax()
    found = ((reach + error) ** 2 + gamma * (own.norms[slots] + norm) ** 2 + twice_absolute) * factor
    return torch.where(reach < 0, -torch.inf, found)


@dataclass(frozen=True)
class KernelShape:
    """Rows, columns and depth of a tile of the kernel, and the rows of a slice that lists pairs.

    `flat`: whether a tile has a pair is found from all of its products at once, not from minima along rows and columns,
    which needs a register more, but is all that Triton compiles for Blackwell.
    """

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int
    slice_rows: int
    flat: bool = False


def kernel_shape(capability: tuple[int, int]) -> KernelShape:
    """The largest tile whose accumulators, and whose stages in shared memory, an architecture holds."""
    if capability >= (10, 0):
        return KernelShape(128, 128, 64, 4, 3, 16, flat=True)
    if capability >= (9, 0):
        return KernelShape(128, 256, 64, 8, 3, 16)
    if capability == (8, 0):
        return KernelShape(128, 256, 32, 8, 4, 16)
    return KernelShape(128, 128, 32, 4, 3, 16)  # less shared memory: 8.6, 8.7, 8.9; and Triton's interpreter


def append_fused(strip: Strip, rectangle: Rectangle, pool: Pool) -> None:
    """Append the pairs of a rectangle by the kernel: one launch, for which nothing waits."""
    from workers.neighbors.strip_kernel import append_kernel  # Triton, which only CUDA builds of torch bring

    search, rows, columns = strip.search, rectangle.rows, rectangle.columns
    queries, database, device = search.queries, search.database, strip.left.device
    shape, processors = _kernel_on(device)
    tiles = -(-(rows.stop - rows.start) // shape.rows) * -(-(columns.stop - columns.start) // shape.columns)
    programs, width = min(tiles, processors), strip.left.shape[1]
    scratch = torch.empty(programs * shape.rows * shape.columns, device=device)
    gamma, twice_absolute, factor = threshold_numbers(search)
    kernel: Any = append_kernel
    with torch.cuda.device(device if device.type == "cuda" else -1):  # Triton launches on the current device
        kernel[(programs,)](
            strip.left, strip.right, strip.row_reach, strip.column_reach, queries.norms, database.norms,
            queries.errors, database.errors, queries.codes, database.codes, pool.rows, pool.columns, pool.values,
            pool.count, scratch, strip.rows.start, strip.columns.start, rows.start, rows.stop, columns.start,
            columns.stop, pool.capacity, gamma, twice_absolute, factor, rectangle.prefix, search.prefixes.count,
            columns=width, symmetric=search.symmetric, by_code=strip.by_code, rows_here=shape.rows,
            columns_here=shape.columns, depth=shape.depth if width % shape.depth == 0 else shape.depth // 2,
            slice_rows=shape.slice_rows, flat=shape.flat, num_warps=shape.warps, num_stages=shape.stages,
        )  # fmt: skip


@cache
def _kernel_on(device: torch.device) -> tuple[KernelShape, int]:
    """The shape of the kernel, and how many programs run at once."""
    if device.type == "cpu":
        return replace(kernel_shape((0, 0)), flat=True), 2  # numpy's minima are not those of numbers beside a nan
    about = torch.cuda.get_device_properties(device)
    return kernel_shape((about.major, about.minor)), about.multi_processor_count
