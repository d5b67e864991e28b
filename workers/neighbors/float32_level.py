"""The level between: rows with too many candidates in a 16-bit format are searched again in float32.

The bounds of the filter grow with the distance of both rows from the centre. Rows far from the common centre and close
to one another, such as the first positions of a Transformer's contexts, are therefore centred about themselves. A
second group of such rows is left over by the first pass and has a pass of its own.

The filter has left each of these rows a limit, an upper bound on its k-th distance. A pass searches only the database
rows whose norm is within these limits of that of one of its rows, because ‖x − y‖ ≥ |‖x‖ − ‖y‖|.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from workers.neighbors.candidates import Prefixes, no_candidates
from workers.neighbors.encoding import choose_encoding
from workers.neighbors.filtering import search_tile
from workers.neighbors.layout import BLOCK, Layout, lay_out
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs
from workers.neighbors.rescoring import measure_candidates, scaled_up
from workers.neighbors.search import Search
from workers.neighbors.side import Side, encode_side
from workers.neighbors.stored import CentredRows, robust_centre
from workers.neighbors.strips import Part, run_tiles
from workers.neighbors.tile import Tiles

_TILE = {"cpu": 1024, "cuda": 8192}
_RESIDENT_ONE_IN = 4  # of the database: fewer rows stay encoded for all tiles
_ENOUGH = 1 / 8  # of the rows of a pass; one that settles fewer is the last


def search_float32(search: Search, rows: Tensor, limits: Tensor) -> tuple[Pairs, Tensor]:
    """The k nearest of query slots in every prefix, with their distances, and the slots that stay undecided.

    Args:
        rows: (m,) int64 full slots.
        limits: (m,) float32 upper bounds on the k-th distance of each in every prefix that has it as a query.
    """
    found, at_once = [no_pairs(rows.device)], _TILE[rows.device.type]
    while len(rows):
        passes = [_search_rows(search, *part) for part in zip(rows.split(at_once), limits.split(at_once), strict=True)]
        found += [pairs for pairs, _ in passes]
        before, undecided = len(rows), torch.cat([mask for _, mask in passes])
        rows, limits = rows[undecided], limits[undecided]
        if before - len(rows) < _ENOUGH * before:
            break
    return join(found), rows


def _search_rows(search: Search, rows: Tensor, limits: Tensor) -> tuple[Pairs, Tensor]:
    """The k nearest of some of the slots, and a mask of those that stay undecided."""
    slots = _within_reach(search, rows, limits)
    about_them, slot_of = _about(search, rows, slots)
    tiles, state = Tiles(about_them), no_candidates(about_them.prefixes, search.k)
    run_tiles(about_them, Part(), lambda panel, columns: search_tile(tiles, panel, columns, state), lambda share: None)
    state.prune(about_them.prefixes)
    found, contradicted = measure_candidates(about_them, state, no_pairs(rows.device))
    undecided = (state.lifted | contradicted)[: len(rows)] | _beyond(search, found, rows, limits)
    found = found.take(~undecided[found.rows])
    return replace(found, rows=rows[found.rows], columns=slot_of[found.columns]), undecided


def _beyond(search: Search, found: Pairs, rows: Tensor, limits: Tensor) -> Tensor:
    """(m,) bool: rows whose k-th distance exceeds their limit: a wrong product may have made it, and hidden others."""
    kth = kth_smallest(found, len(rows), search.prefixes.count, search.k)
    return scaled_up(search, kth[torch.arange(len(rows), device=rows.device), search.prefixes.of_row[rows]]) > limits


def _within_reach(search: Search, rows: Tensor, limits: Tensor) -> Tensor:
    """Database slots whose norm differs from that of one of the rows by no more than its limit, and maybe others."""
    queries, database = search.queries, search.database
    least, most = (bound[rows] for bound in _norm_bounds(queries))
    low, high = (least - limits).min(), (most + limits).max()
    least, most = _norm_bounds(database)
    return torch.nonzero((most >= low) & (least <= high) & (database.layout.ids >= 0))[:, 0]


def _norm_bounds(side: Side) -> tuple[Tensor, Tensor]:
    """(slots,) float64 lower and upper bounds on the norms of the centred rows, from what `Encoding.complete` adds."""
    norms = side.norms.double()
    return norms * (1 - 2 * side.encoding.gamma) - 2 * side.errors.double(), norms


def _about(search: Search, rows: Tensor, slots: Tensor) -> tuple[Search, Tensor]:
    """The search of some query slots in some ascending database slots, all in float32 about the centre of the former.

    Returns:
        The search, and the database slot of each of its own.
    """
    queries, database, prefixes = search.queries, search.database, search.prefixes
    ids, codes = _padded(queries.layout.ids[rows], -1), _padded(queries.codes[rows], 0)
    centre = robust_centre(queries.rows.stored, queries.layout.ids[rows])
    centre = centre.to(database.rows.centre.dtype)
    scale = database.rows.scale / 2  # the centre is among the rows in every dimension: twice as far from them at most
    encoding = choose_encoding(torch.empty(0, database.rows.d), torch.float32, database.encoding.device)
    sizes = torch.bincount(prefixes.of_column[slots], minlength=prefixes.count).cumsum(0).tolist()
    chosen = lay_out(slots, sizes)
    full, slot_of = chosen.ids >= 0, chosen.ids.clamp(min=0)

    def side(of: Side, layout: Layout, of_codes: Tensor) -> Side:
        resident = layout.slots <= database.layout.slots // _RESIDENT_ONE_IN
        return encode_side(CentredRows(of.rows.stored, centre, scale), layout, of_codes, encoding, resident=resident)

    of_slots = replace(chosen, ids=database.layout.ids[slot_of].masked_fill(~full, -1))
    of_rows = Layout(ids, torch.zeros(len(ids) // BLOCK, dtype=torch.int64))
    about_them = Search(
        queries=side(queries, of_rows, codes),
        database=side(database, of_slots, database.codes[slot_of]),
        prefixes=Prefixes(_padded(prefixes.of_row[rows], 0), of_slots.slot_prefixes, prefixes.count),
        unique_codes=search.unique_codes,
        k=search.k,
        tile=_TILE[rows.device.type],
    )
    return about_them, slot_of


def _padded(values: Tensor, fill: int) -> Tensor:
    """Values of whole blocks of slots; those of empty ones are `fill`."""
    return torch.nn.functional.pad(values, (0, -len(values) % BLOCK), value=fill)
