"""Rescoring: distances of candidates in float64, by direct subtraction of the stored rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from service.norms import SMALLEST_NORMAL
from workers.neighbors.filtering import Search
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs, order_by_row, rank_in_row
from workers.neighbors.stored import StoredRows, row_norms

_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**28}  # that stay in the cache; enough to occupy a GPU


def pair_distances(queries: StoredRows, database: StoredRows, query_ids: Tensor, database_ids: Tensor) -> Tensor:
    """‖queries[a] − database[b]‖ for each pair (a, b); (pairs,) float64, block by block."""
    device = query_ids.device
    distances = torch.empty(len(query_ids), dtype=torch.float64, device=device)
    step = max(1, _BLOCK_BYTES[device.type] // (8 * queries.d))
    # One buffer: new memory costs more than sums.
    gaps = torch.empty((min(step, len(query_ids)), queries.d), dtype=torch.float64, device=device)
    for start in range(0, len(query_ids), step):
        part = slice(start, start + step)
        gap = gaps[: len(query_ids[part])]
        gap.copy_(queries.take(query_ids[part])).sub_(database.take(database_ids[part]))
        distances[part] = row_norms(gap)
    return distances


def rescore(search: Search, candidates: Pairs) -> Pairs:
    """The k nearest candidates of each row and prefix, ties included, with their distances.

    The pairs of each row are rescored in the order of their lower bounds, and only while these are below the k-th
    rescored distance: a row with thousands of near-duplicates needs few of them.
    """
    slots, prefixes = search.queries.layout.slots, search.prefixes.count

    def kth_distances(rescored: Pairs, of: Pairs) -> Tensor:
        return kth_smallest(rescored, slots, prefixes, search.k)[of.rows, of.prefixes]

    rescored = rescore_nearest_first(search, candidates, kth_distances)
    return rescored.take(rescored.uppers <= kth_distances(rescored, rescored))


def rescore_nearest_first(search: Search, candidates: Pairs, limits: Callable[[Pairs, Pairs], Tensor]) -> Pairs:
    """Rescore the k pairs of each row with the smallest lower bounds, then four times as many, and so on.

    A pair whose lower bound is not below its limit is left out: its distance is at least the limit.

    Args:
        limits: (pairs rescored so far, pairs) → (pairs,) float64 distances.
    """
    waiting = candidates.take(order_by_row(candidates, candidates.lowers))
    rescored, most = no_pairs(waiting.rows.device), search.k
    rank = rank_in_row(waiting.rows)
    while len(waiting):
        still_open = waiting.lowers < scaled_up(search, limits(rescored, waiting))
        now = still_open & (rank < most)
        rescored = join([rescored, measure(search, waiting.take(now))])
        later = still_open & ~now
        waiting, rank = waiting.take(later), rank[later]
        most *= 4
    return rescored


def measure(search: Search, pairs: Pairs) -> Pairs:
    """The pairs with their distances as `uppers`, not in the scale of the bounds, in which some might underflow."""
    queries, database = search.queries, search.database
    distances = pair_distances(
        queries.rows.stored, database.rows.stored, queries.layout.ids[pairs.rows], database.layout.ids[pairs.columns]
    )
    return Pairs(pairs.rows, pairs.columns, pairs.prefixes, pairs.lowers, distances)


def scaled_up(search: Search, distances: Tensor) -> Tensor:
    """Distances in the scale of the bounds, a power of two; one that underflows there becomes the smallest normal."""
    scaled = distances * search.database.rows.scale
    return torch.where(distances > 0, scaled.clamp(min=SMALLEST_NORMAL), scaled)
