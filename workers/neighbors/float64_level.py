"""The last level: rows that no cheaper level could settle, against everything, in float64.

They are centred at one of themselves, so that near-duplicates are told apart however far from the common centre they
lie, and the pairs that float64 leaves in doubt are settled by direct subtraction like all others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.neighbors.filtering import Search
from workers.neighbors.float64_tile import Float64Tile
from workers.neighbors.layout import BLOCK
from workers.neighbors.pairs import Pairs, join, no_pairs, order_by_row
from workers.neighbors.rescoring import rescore_nearest_first

_TILE = 1024


def search_float64(search: Search, rows: Tensor) -> Pairs:
    """The k nearest of each of the slots `rows` in every prefix, settled."""
    return join([_search_rows(search, part) for part in rows.split(_TILE) if len(part)])


def _search_rows(search: Search, rows: Tensor) -> Pairs:
    queries, database, k = search.queries, search.database, search.k
    ids = queries.layout.ids[rows]
    centre = queries.take(rows[:1])[0].double()
    own = queries.rows.take_float64(ids, centre)
    kept, ceilings = no_pairs(), torch.full((len(rows), k), torch.inf, dtype=torch.float64)
    for prefix, blocks in database.layout.segments(slice(0, len(database.layout.block_prefixes))):
        stretch = torch.arange(blocks.start * BLOCK, blocks.stop * BLOCK)
        tiles = [Float64Tile(search, rows, own, centre, slots) for slots in stretch.split(_TILE)]
        for tile in tiles:
            ceilings = torch.cat([ceilings, tile.bounds()[1]], dim=1).topk(k, dim=1, largest=False).values
        for tile in tiles:
            near = _candidates(search, tile, prefix, ceilings[:, -1])
            kept = _keep_nearest(join([kept, _settle(search, near, kept)]), k)
    return kept


def _keep_nearest(pairs: Pairs, k: int) -> Pairs:
    """Of each row and prefix the k nearest; the others cannot matter to any prefix."""
    kept = []
    for prefix in torch.unique(pairs.prefixes):
        part = pairs.take(pairs.prefixes == prefix)
        order, rank = order_by_row(part, part.uppers)
        kept.append(part.take(order[rank < k]))
    return join(kept)


def _candidates(search: Search, tile: Float64Tile, prefix: int, ceilings: Tensor) -> Pairs:
    """The pairs of a tile within the ceilings."""
    lowers, _ = tile.bounds()
    at, column = torch.nonzero((lowers <= ceilings[:, None]) & (lowers < torch.inf), as_tuple=True)
    rows = tile.rows[at]
    first = search.prefixes.of_row.cpu()[rows].clamp(min=prefix)
    return Pairs(rows, tile.columns[column], first, lowers[at, column], lowers[at, column])


def _settle(search: Search, waiting: Pairs, known: Pairs) -> Pairs:
    """Their distances, nearest first, until each row's k-th settled one is nearer than all that are left."""
    slots = search.queries.layout.slots

    def limits(settled: Pairs, of: Pairs) -> Tensor:
        return _kth_of_rows(join([known, settled]), slots, search.k)[of.rows]

    return rescore_nearest_first(search, waiting, limits)


def _kth_of_rows(pairs: Pairs, slots: int, k: int) -> Tensor:
    """(slots,) the k-th smallest settled distance of each row among all pairs so far."""
    limits = torch.full((slots,), torch.inf, dtype=torch.float64)
    order, rank = order_by_row(pairs, pairs.uppers)
    kth = order[rank == k - 1]
    limits[pairs.rows[kth]] = pairs.uppers[kth]
    return limits
