"""The last level but one: true distances of the pairs that are left, in float64 by direct subtraction."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workers.neighbors.filtering import Search
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs, order_by_row
from workers.neighbors.stored import StoredRows

_BLOCK_BYTES = 2**21
_SHORT, _STRETCH = 1e-140, 2.0**600


def pair_distances(queries: StoredRows, patterns: StoredRows, query_ids: Tensor, pattern_ids: Tensor) -> Tensor:
    """‖queries[a] − patterns[b]‖ for each pair (a, b); (pairs,) float64, in blocks that stay in the cache."""
    distances = torch.empty(len(query_ids), dtype=torch.float64)
    step = max(1, _BLOCK_BYTES // (8 * queries.d))
    for start in range(0, len(query_ids), step):
        part = slice(start, start + step)
        gap = queries.take(query_ids[part]).double().sub_(patterns.take(pattern_ids[part]))
        distances[part] = _norms(gap)
    return distances


def _norms(gap: Tensor) -> Tensor:
    """(m,) ‖x‖ of (m, d) float64 rows; where the squares might underflow, of the rows times a power of two."""
    norms = torch.linalg.vector_norm(gap, dim=1)
    short = norms < _SHORT
    if bool(short.any()):
        norms[short] = torch.linalg.vector_norm(gap[short] * _STRETCH, dim=1) / _STRETCH
    return norms


def settle(search: Search, candidates: Pairs) -> Pairs:
    """The pairs that decide, with their distances: every other one is at least as far as its row's k-th.

    The most promising pairs of each row and prefix come first, so that one settled distance can spare the rest: a row
    with thousands of duplicates needs k of them.
    """
    slots, prefixes = search.queries.layout.slots, search.prefixes.count

    def limits(settled: Pairs, of: Pairs) -> Tensor:
        return kth_smallest(settled, slots, prefixes, search.k)[of.rows, of.prefixes]

    settled = settle_nearest_first(search, candidates, limits)
    return settled.take(settled.uppers <= limits(settled, settled))


def settle_nearest_first(search: Search, candidates: Pairs, limits: Callable[[Pairs, Pairs], Tensor]) -> Pairs:
    """Measure the most promising pairs of each row, then four times as many, until none is within its limit.

    Args:
        limits: (settled so far, pairs) → (pairs,) float64; a pair that is not nearer than its limit is left out.
    """
    order, rank = order_by_row(candidates, candidates.lowers)
    waiting, settled, most = candidates.take(order), no_pairs(), search.k
    while len(waiting):
        still_open = waiting.lowers < limits(settled, waiting)
        now = still_open & (rank < most)
        settled = join([settled, measure(search, waiting.take(now))])
        later = still_open & ~now
        waiting, rank = waiting.take(later), rank[later]
        most *= 4
    return settled


def measure(search: Search, pairs: Pairs) -> Pairs:
    """The pairs with their true distances, in the scale of the bounds (a power of two, so exactly), as `uppers`."""
    queries, database = search.queries, search.database
    distances = pair_distances(
        queries.rows.stored, database.rows.stored, queries.layout.ids[pairs.rows], database.layout.ids[pairs.columns]
    )
    return Pairs(pairs.rows, pairs.columns, pairs.prefixes, pairs.lowers, distances * database.rows.scale)
