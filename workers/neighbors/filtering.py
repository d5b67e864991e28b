"""The filter: all pairs in low precision, tile by tile, with rigorous bounds.

The minima of a tile per row and block of 64 columns give each row an upper bound on its k-th distance. Only blocks
whose minimum may lie within that bound are examined pair by pair; their pairs within it become candidates. When rows
are searched among themselves, only tiles on and above the diagonal are computed; each serves its rows and its columns.

The bounds of a pair (x, y) follow from the encoding's two inequalities: with product v, e and N as in encoding.py,

    ‖x − y‖ ≤ √(2 (1 + relative) v + γ (Nx + Ny)² + 2 absolute) + ex + ey,
    ‖x − y‖ ≥ √(2 (1 − relative) v − γ (Nx + Ny)² − 2 absolute) − ex − ey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from service.errors import OutOfMemory
from workers.devices.memory import is_out_of_memory
from workers.neighbors.candidates import CandidateState, Prefixes
from workers.neighbors.encoding import ABSENT
from workers.neighbors.layout import BLOCK
from workers.neighbors.side import Side
from workers.neighbors.sorting import k_smallest
from workers.neighbors.tile import PlainTile

SLACK = 1e-5  # relative; more than the float32 rounding of the bounds themselves
Cells = Callable[[Tensor, Tensor], Tensor]
_CELLS_AT_ONCE = 2**16
_CANDIDATES_BEFORE_PRUNING = 16  # per slot, and 4 for each neighbour at least
_MINIMA_PER_NEIGHBOUR, _NARROWEST = 4, 4
_LONGEST = 1e14  # an upper bound beyond any distance between rows of norm ≤ 1, whose square float32 still holds


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


def search_panel(search: Search, panel: slice, state: CandidateState, columns: slice | None = None) -> None:
    """Add the tiles of the rows `panel` and some `columns` of the database to a state.

    Args:
        columns: None: all, or in a symmetric search those from `panel` on; none may be before the panel.

    Raises:
        OutOfMemory: as `search_tile`.
    """
    wanted = columns or slice(panel.start if search.symmetric else 0, search.database.layout.slots)
    left = left_columns(search, panel)
    for start in range(wanted.start, wanted.stop, search.tile):
        search_tile(search, left, panel, slice(start, min(start + search.tile, wanted.stop)), state)


def left_columns(search: Search, panel: slice) -> Tensor:
    """(m, columns) left columns of some query slots."""
    return search.database.encoding.left(search.queries.right(panel))


def search_tile(search: Search, left: Tensor, panel: slice, columns: slice, state: CandidateState) -> None:
    """Add one tile to a state; one that does not fit into the device's memory is computed again in halves.

    On a CPU several threads may add tiles to one state.

    Args:
        left: the left columns of `panel`.

    Raises:
        OutOfMemory: not even 64 columns fit.
    """
    start, width = columns.start, columns.stop - columns.start
    while start < columns.stop:
        part = slice(start, min(start + width, columns.stop))
        saved = state.save(panel, part)
        try:
            _add_tile(search, left, panel, part, state)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if width == BLOCK:
                raise OutOfMemory("the device's memory does not hold a tile of 64 columns") from error
            state.restore(saved)
            width = max(BLOCK, width // 2 // BLOCK * BLOCK)
            continue
        start = part.stop
    held = max(_CANDIDATES_BEFORE_PRUNING, 4 * search.k)
    with state.lock:
        if state.size > held * search.queries.layout.slots:
            state.prune(search.prefixes)


def _add_tile(search: Search, left: Tensor, panel: slice, columns: slice, state: CandidateState) -> None:
    tile = make_tile(search, left, panel, columns, search.group)
    along_rows = tile.along_rows()
    _collect(search, state, panel, columns, along_rows, tile.cells_of_rows)
    if search.symmetric and columns.start >= panel.stop:
        _collect(search, state, columns, panel, tile.along_columns(), tile.cells_of_columns)


def make_tile(search: Search, left: Tensor, panel: slice, columns: slice, width: int = BLOCK) -> PlainTile:
    """The tile of a panel's left columns and some database slots; pairs of equal code are excluded.

    Args:
        width: columns, or rows, of which one minimum is taken.
    """
    right = search.database.right(columns)
    skip = search.unique_codes and search.symmetric and columns.start >= panel.stop
    codes = None if skip else (search.queries.codes[panel], search.database.codes[columns])
    excluded = None if codes is None else codes[0][:, None] == codes[1]
    return PlainTile(search.database.encoding, left, right, excluded, width)


def _collect(search: Search, state: CandidateState, rows: slice, columns: slice, minima: Tensor, cells: Cells) -> None:
    """Add upper bounds and candidates of some rows from one tile: its minima per row and group, and its cells.

    Limits are read without the lock: those that another thread is about to lower keep more pairs, never fewer.
    """
    groups = BLOCK // search.group
    values = minima if groups == 1 else minima.view(len(minima), -1, groups).amin(dim=2)
    bounds = TileBounds(search, torch.arange(rows.start, rows.stop, device=minima.device), columns)
    blocks = slice(columns.start // BLOCK, columns.stop // BLOCK)
    reached = [
        (prefix, segment, _reached_rows(search, state, bounds, values, prefix, segment))
        for prefix, segment in search.database.layout.segments(blocks)
    ]
    for prefix, segment, at in reached:
        if len(at):
            within = slice(segment.start * groups, segment.stop * groups)
            of_group = torch.arange(within.start, within.stop, device=at.device) // groups
            smallest = k_smallest(bounds.take(at).uppers(minima[at, within], of_group), search.k)
            with state.lock:
                state.offer(prefix, at + rows.start, smallest)
    for prefix, segment, at in reached:
        if len(at):
            of_rows = bounds.take(at)
            limits = state.limits(search.prefixes, of_rows.rows, torch.full_like(at, prefix))
            for row, column, found in pairs_below(of_rows, at, minima[at], cells, limits, segment):
                lowers = of_rows.lowers(found, row, column)
                with state.lock:
                    state.add(of_rows.rows[row], column + columns.start, lowers)


def _reached_rows(
    search: Search, state: CandidateState, bounds: TileBounds, values: Tensor, prefix: int, segment: slice
) -> Tensor:
    """Numbers of the rows of a tile that may have a row of the segment within their limit.

    Few rows of most tiles have one: once their neighbours are found, a tile costs little beyond its product.
    """
    limits = state.limits(search.prefixes, bounds.rows, torch.full_like(bounds.rows, prefix))
    near = values[:, segment] <= bounds.largest_values(limits, segment)
    return torch.nonzero(near.any(dim=1))[:, 0]


def pairs_below(
    bounds: TileBounds, at: Tensor, minima: Tensor, cells: Cells, limits: Tensor, segment: slice
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield rows, columns and products of all pairs of a tile whose lower bound is within their row's limit.

    Few other pairs are among them. The rows are numbered as those of `bounds`.

    Args:
        at: (rows,) the numbers of the rows in the tile.
        minima: (rows, groups) the smallest product of each row with each group of columns.
        cells: (row numbers, group numbers) → (cells, width) all products of these cells.
        limits: (rows,); a negative limit selects nothing.
        segment: blocks; only pairs with their columns are wanted.
    """
    width = len(bounds.column_norms) // minima.shape[1]
    groups = BLOCK // width
    largest = bounds.largest_values(limits, segment)
    if groups > 1:
        largest = largest.repeat_interleave(groups, dim=1)
    first = segment.start * groups
    rows, within = torch.nonzero(minima[:, first : segment.stop * groups] <= largest, as_tuple=True)
    for row, group in zip(rows.split(_CELLS_AT_ONCE), within.split(_CELLS_AT_ONCE), strict=True):
        found = cells(at[row], group + first)
        cell, column = torch.nonzero(found <= largest[row, group][:, None], as_tuple=True)
        yield row[cell], (group[cell] + first) * width + column, found[cell, column]


class TileBounds:
    """Bounds on the distances of some rows to some columns, or to the nearest row of a block of columns."""

    def __init__(self, search: Search, rows: Tensor, columns: slice) -> None:
        """`rows` are slots of the queries."""
        self.encoding, self.rows = search.database.encoding, rows
        self.norms, self.errors = search.queries.norms[rows], search.queries.errors[rows]
        self.column_norms, self.column_errors = search.database.norms[columns], search.database.errors[columns]
        blocks = slice(columns.start // BLOCK, columns.stop // BLOCK)
        self.block_norms, self.block_errors = search.database.block_norms[blocks], search.database.block_errors[blocks]

    def take(self, at: Tensor) -> TileBounds:
        """The bounds of some of the rows."""
        taken = copy(self)
        taken.rows, taken.norms, taken.errors = self.rows[at], self.norms[at], self.errors[at]
        return taken

    def uppers(self, values: Tensor, blocks: Tensor) -> Tensor:
        """(m, j) upper bounds on the distance to the row of each product; inf where no row is admissible.

        Args:
            values: (m, j) products.
            blocks: (j,), or (m, j), the blocks that their rows are in.
        """
        slack_sq = self._slack_sq(self.norms[:, None], self.block_norms[blocks])
        distances = (2 * (1 + self.encoding.relative) * values.clamp(min=0) + slack_sq).sqrt()
        uppers = (distances + self.errors[:, None] + self.block_errors[blocks]) * (1 + SLACK)
        return uppers.masked_fill_(values >= ABSENT, torch.inf)

    def lowers(self, values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(pairs,) lower bounds on the distances of the pairs (rows, columns)."""
        slack_sq = self._slack_sq(self.norms[rows], self.column_norms[columns])
        distances = (2 * (1 - self.encoding.relative) * values - slack_sq).clamp(min=0).sqrt()
        return ((distances - self.errors[rows] - self.column_errors[columns]) * (1 - SLACK)).clamp(min=0)

    def largest_values(self, limits: Tensor, segment: slice) -> Tensor:
        """(m, blocks) the largest product for which a pair's lower bound can be within the row's limit.

        Solving `lowers` ≤ limit for the product v gives, with e, N of the row and E, M of the block,

            v ≤ ((limit + e + E)² + γ (N + M)² + 2 absolute) / (2 (1 − relative)).
        """
        reach = (limits * (1 + 2 * SLACK)).clamp(max=_LONGEST) + self.errors
        norms, errors = self.block_norms[segment], self.block_errors[segment]
        largest = (reach[:, None] + errors).square_().add_(self._slack_sq(self.norms[:, None], norms))
        largest *= (1 + 2 * SLACK) / (2 * (1 - self.encoding.relative))
        return largest.masked_fill_(limits[:, None] < 0, -torch.inf)

    def _slack_sq(self, norms: Tensor, others: Tensor) -> Tensor:
        return self.encoding.gamma * (norms + others) ** 2 + 2 * self.encoding.absolute
