"""The filter: all pairs in low precision, tile by tile, with rigorous bounds.

The minima of a tile per row and block of 64 columns give each row an upper bound on its k-th distance. Only blocks
whose minimum may lie within that bound are examined pair by pair; their pairs within it become candidates. When rows
are searched among themselves, only tiles on and above the diagonal are computed; each serves its rows and its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from service.errors import OutOfMemory
from workers.devices.memory import is_out_of_memory
from workers.neighbors.candidates import CandidateState
from workers.neighbors.layout import BLOCK
from workers.neighbors.search import Search
from workers.neighbors.sorting import at_most, k_smallest
from workers.neighbors.tile import Tiles
from workers.neighbors.tile_bounds import TileBounds

Cells = Callable[[Tensor, Tensor], Tensor]
_CELLS_AT_ONCE = 2**16
_CANDIDATES_BEFORE_PRUNING = 16  # per slot, and 4 for each neighbour at least
_FEW = 1 / 8  # of the rows of a tile


def search_panel(search: Search, panel: slice, state: CandidateState, columns: slice | None = None) -> None:
    """Add the tiles of the rows `panel` and some `columns` of the database to a state.

    Args:
        columns: None: all, or in a symmetric search those from `panel` on; none may be before the panel.

    Raises:
        OutOfMemory: as `search_tile`.
    """
    tiles = Tiles(search)
    wanted = columns or slice(panel.start if search.symmetric else 0, search.database.layout.slots)
    for start in range(wanted.start, wanted.stop, search.tile):
        search_tile(tiles, panel, slice(start, min(start + search.tile, wanted.stop)), state)


def search_tile(tiles: Tiles, panel: slice, columns: slice, state: CandidateState) -> None:
    """Add one tile to a state; one that does not fit into the device's memory is computed again in halves.

    On a CPU several threads may add tiles to one state.

    Raises:
        OutOfMemory: not even 64 columns fit.
    """
    search, start, width = tiles.search, columns.start, columns.stop - columns.start
    while start < columns.stop:
        part = slice(start, min(start + width, columns.stop))
        saved = state.save(panel, part)
        try:
            _add_tile(tiles, panel, part, state)
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


def _add_tile(tiles: Tiles, panel: slice, columns: slice, state: CandidateState) -> None:
    search = tiles.search
    tile = tiles.tile(panel, columns, search.group)
    along_rows = tile.along_rows()
    _collect(search, state, panel, columns, along_rows, tile.cells_of_rows)
    if search.symmetric and columns.start >= panel.stop:
        _collect(search, state, columns, panel, tile.along_columns(), tile.cells_of_columns)


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

    Few rows of most tiles have one: once their neighbours are found, a tile costs little beyond its product. The bound
    of the whole segment excludes most rows; that of each block excludes others where one block has long rows.
    """
    limits = state.limits(search.prefixes, bounds.rows, torch.full_like(bounds.rows, prefix))
    at = torch.nonzero(values[:, segment].amin(dim=1) <= bounds.largest_value(limits, segment))[:, 0]
    if len(at) < _FEW * len(values):
        return at
    beyond = values[at, segment] - bounds.take(at).largest_values(limits[at], segment)
    return at[beyond.amin(dim=1) <= 0]


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
    near = at_most(minima[:, first : segment.stop * groups], largest)
    rows, within = torch.nonzero(near, as_tuple=True)
    for row, group in zip(rows.split(_CELLS_AT_ONCE), within.split(_CELLS_AT_ONCE), strict=True):
        found = cells(at[row], group + first)
        cell, column = torch.nonzero(found <= largest[row, group][:, None], as_tuple=True)
        yield row[cell], (group[cell] + first) * width + column, found[cell, column]
