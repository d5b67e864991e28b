"""The level between: rows with too many candidates in a 16-bit format are searched again in float32.

The bounds of the filter grow with the distance of both rows from the centre. Rows far from the common centre and close
to one another, such as the first positions of a Transformer's contexts, are therefore centred about themselves. A
second group of such rows is left over by the first pass and has a pass of its own.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from workers.neighbors.candidates import Prefixes, no_candidates
from workers.neighbors.encoding import choose_encoding
from workers.neighbors.filtering import Search, left_columns, search_tile
from workers.neighbors.layout import BLOCK, Layout
from workers.neighbors.pairs import Pairs, join, no_pairs
from workers.neighbors.rescoring import measure_candidates
from workers.neighbors.side import Side, encode_side
from workers.neighbors.stored import CentredRows, robust_centre
from workers.neighbors.strips import Part, run_tiles

_TILE = {"cpu": 1024, "cuda": 8192}
_ENOUGH = 1 / 8  # of the rows of a pass; one that settles fewer is the last


def search_float32(search: Search, rows: Tensor) -> tuple[Pairs, Tensor]:
    """The k nearest of query slots in every prefix, with their distances, and the slots that stay undecided.

    Args:
        rows: (m,) int64 full slots.
    """
    found, left = [no_pairs(rows.device)], rows
    while len(left):
        passes = [_search_rows(search, part) for part in left.split(_TILE[rows.device.type])]
        found += [pairs for pairs, _ in passes]
        before, left = len(left), torch.cat([undecided for _, undecided in passes])
        if before - len(left) < _ENOUGH * before:
            break
    return join(found), left


def _search_rows(search: Search, rows: Tensor) -> tuple[Pairs, Tensor]:
    """The k nearest of some of the slots, and those that stay undecided."""
    about_them = _about(search, rows)
    state = no_candidates(about_them.prefixes, search.k)

    def search_one(panel: slice, columns: slice) -> None:
        search_tile(about_them, left_columns(about_them, panel), panel, columns, state)

    run_tiles(about_them, Part(), search_one, lambda share: None)
    state.prune(about_them.prefixes)
    found, contradicted = measure_candidates(about_them, state, no_pairs(rows.device))
    undecided = (state.lifted | contradicted)[: len(rows)]
    found = found.take(~undecided[found.rows])
    return replace(found, rows=rows[found.rows]), rows[undecided]


def _about(search: Search, rows: Tensor) -> Search:
    """The search of some query slots, all rows in float32 about the centre of theirs."""
    queries, database = search.queries, search.database
    ids, codes = _padded(queries.layout.ids[rows], -1), _padded(queries.codes[rows], 0)
    centre = robust_centre(queries.rows.stored, queries.layout.ids[rows])
    centre = centre.to(database.rows.centre.dtype)
    scale = database.rows.scale / 2  # the centre is among the rows in every dimension: twice as far from them at most
    encoding = choose_encoding(torch.empty(0, database.rows.d), torch.float32, database.encoding.device)

    def side(of: Side, layout: Layout, of_codes: Tensor) -> Side:
        return encode_side(CentredRows(of.rows.stored, centre, scale), layout, of_codes, encoding, resident=False)

    layout = Layout(ids, torch.zeros(len(ids) // BLOCK, dtype=torch.int64))
    prefixes = Prefixes(_padded(search.prefixes.of_row[rows], 0), search.prefixes.of_column, search.prefixes.count)
    return Search(
        queries=side(queries, layout, codes),
        database=side(database, database.layout, database.codes),
        prefixes=prefixes,
        unique_codes=search.unique_codes,
        k=search.k,
        tile=_TILE[rows.device.type],
    )


def _padded(values: Tensor, fill: int) -> Tensor:
    """Values of whole blocks of slots; those of empty ones are `fill`."""
    return torch.nn.functional.pad(values, (0, -len(values) % BLOCK), value=fill)
