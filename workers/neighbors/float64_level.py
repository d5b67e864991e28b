"""The last level: the remaining rows are searched in the whole database, in float64.

The rows are centred at one of themselves, so that near-duplicates are distinguished however far they lie from the
common centre. Pairs that the float64 bounds cannot exclude are rescored by direct subtraction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workers.neighbors.float64_tile import Float64Tile
from workers.neighbors.layout import BLOCK
from workers.neighbors.pairs import Pairs, join, no_pairs, order_by_row, rank_in_row
from workers.neighbors.rescoring import rescore_nearest_first
from workers.neighbors.search import Search
from workers.neighbors.sorting import k_smallest

_TILE = {"cpu": 1024, "cuda": 4096}


def search_float64(search: Search, rows: Tensor) -> Pairs:
    """The k nearest of each of the query slots `rows` in every prefix, with their distances."""
    found = [_search_rows(search, part) for part in rows.split(_TILE[rows.device.type]) if len(part)]
    return join([no_pairs(rows.device), *found])


def _search_rows(search: Search, rows: Tensor) -> Pairs:
    queries, database, k = search.queries, search.database, search.k
    ids = queries.layout.ids[rows]
    centre = queries.take(rows[:1])[0].double()
    own = queries.rows.take_float64(ids, centre)
    device = rows.device
    kept, limits = no_pairs(device), torch.full((len(rows), k), torch.inf, dtype=torch.float64, device=device)
    for prefix, blocks in database.layout.segments(slice(0, len(database.layout.block_prefixes))):
        stretch = torch.arange(blocks.start * BLOCK, blocks.stop * BLOCK, device=device)
        tiles = [Float64Tile(search, rows, own, centre, slots) for slots in stretch.split(_TILE[device.type])]
        for tile in tiles:
            limits = k_smallest(torch.cat([limits, tile.bounds()[1]], dim=1), k)
        for tile in tiles:
            near = _candidates(search, tile, prefix, limits[:, -1])
            kept = _keep_nearest(join([kept, _rescore(search, near, kept)]), k)
    return kept


def _keep_nearest(pairs: Pairs, k: int) -> Pairs:
    """The k nearest pairs of each row and prefix; no prefix needs any other."""
    kept = []
    for prefix in torch.unique(pairs.prefixes):
        part = pairs.take(pairs.prefixes == prefix)
        part = part.take(order_by_row(part, part.uppers))
        kept.append(part.take(rank_in_row(part.rows) < k))
    return join(kept)


def _candidates(search: Search, tile: Float64Tile, prefix: int, limits: Tensor) -> Pairs:
    """The pairs of a tile whose lower bound is within their row's limit."""
    lowers, _ = tile.bounds()
    at, column = torch.nonzero((lowers <= limits[:, None]) & (lowers < torch.inf), as_tuple=True)
    rows = tile.rows[at]
    first = search.prefixes.of_row[rows].clamp(min=prefix)
    return Pairs(rows, tile.columns[column], first, lowers[at, column], lowers[at, column])


def _rescore(search: Search, waiting: Pairs, known: Pairs) -> Pairs:
    """Rescore pairs, nearest first, until each row's k-th rescored distance is below all remaining lower bounds."""
    slots = search.queries.layout.slots

    def kth_distances(rescored: Pairs, of: Pairs) -> Tensor:
        return _kth_of_rows(join([known, rescored]), slots, search.k)[of.rows]

    return rescore_nearest_first(search, waiting, kth_distances)


def _kth_of_rows(pairs: Pairs, slots: int, k: int) -> Tensor:
    """(slots,) the k-th smallest distance of each row among all pairs so far."""
    limits = torch.full((slots,), torch.inf, dtype=torch.float64, device=pairs.rows.device)
    pairs = pairs.take(order_by_row(pairs, pairs.uppers))
    kth = rank_in_row(pairs.rows) == k - 1
    limits[pairs.rows[kth]] = pairs.uppers[kth]
    return limits
