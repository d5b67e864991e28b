"""Rescoring: distances of candidates in float64, by direct subtraction of the stored rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from service.norms import SMALLEST_NORMAL
from workers.neighbors.candidates import CandidateState
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs, order_by_row, rank_in_row
from workers.neighbors.search import Search
from workers.neighbors.sorting import argsort
from workers.neighbors.stored import StoredRows, row_norms

_BLOCK_BYTES = {"cpu": 2**22, "cuda": 2**28}  # so long that threads seldom wait for the interpreter; that fill a GPU


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
        _subtract(queries.take(query_ids[part]), database.take(database_ids[part]), gap)
        distances[part] = row_norms(gap)
    return distances


def _subtract(a: Tensor, b: Tensor, out: Tensor) -> None:
    """a − b in float64, of rows in any format."""
    if out.device.type == "cpu":  # numpy converts and subtracts in one pass
        np.subtract(a.numpy(), b.numpy(), out=out.numpy(), dtype=np.float64)
    else:
        out.copy_(a).sub_(b)


def measure_candidates(search: Search, state: CandidateState, zero: Pairs) -> tuple[Pairs, Tensor]:
    """The k nearest of each query among its candidates and the pairs at distance 0, ties included.

    Args:
        state: pruned.
        zero: pairs of duplicates.

    Returns:
        The pairs, of which one may come twice; and a mask of the query slots whose k-th distance exceeds its upper
        bound, because the device computed a wrong product: impossible while the products satisfy the error bounds.
    """
    rescored, kth = rescore(search, candidate_pairs(search, state))
    pairs = join([zero, rescored])
    if len(zero):
        kth = kth_smallest(pairs, len(kth), search.prefixes.count, search.k)
    return pairs, _contradicted(search, state, kth)


def candidate_pairs(search: Search, state: CandidateState) -> Pairs:
    """The candidates by row and column, each once.

    No result may depend on the order in which tiles were searched or merged. A tile that exhausted the memory amid its
    work was searched again, and may have added pairs twice.
    """
    rows, columns = state.rows.long(), state.columns.long()
    keys = rows * 2**32 + columns
    order = argsort(keys)
    new = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
    new[1:] = keys[order[1:]] != keys[order[:-1]]
    order = order[new]
    rows, columns, lowers = rows[order], columns[order], state.lowers[order]
    first = torch.maximum(search.prefixes.of_row[rows], search.prefixes.of_column[columns])
    return Pairs(rows, columns, first, lowers, lowers)


def rescore(search: Search, candidates: Pairs) -> tuple[Pairs, Tensor]:
    """The k nearest candidates of each row and prefix, ties included, and the (slots, prefixes) k-th distances.

    The pairs of each row are rescored in the order of their lower bounds, and only while these are below the k-th
    rescored distance: a row with thousands of near-duplicates needs few of them.
    """
    slots, prefixes = search.queries.layout.slots, search.prefixes.count

    def kth_distances(rescored: Pairs, of: Pairs) -> Tensor:
        return kth_smallest(rescored, slots, prefixes, search.k)[of.rows, of.prefixes]

    rescored = rescore_nearest_first(search, candidates, kth_distances)
    kth = kth_smallest(rescored, slots, prefixes, search.k)
    return rescored.take(rescored.uppers <= kth[rescored.rows, rescored.prefixes]), kth


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


def _contradicted(search: Search, state: CandidateState, kth: Tensor) -> Tensor:
    """(slots,) bool: queries whose k-th distance exceeds its upper bound in a prefix that has them."""
    best, of_row = state.best[:, :, -1], search.prefixes.of_row
    is_query = torch.arange(search.prefixes.count, device=of_row.device) >= of_row[:, None]
    return ((scaled_up(search, kth) > best) & is_query & (best >= 0)).any(dim=1)
