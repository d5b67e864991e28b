"""Nearest neighbours within each nested prefix of a permutation, in one pass over all pairs, every row certified.

Prefix p of the permutation is the union of the first p *stretches* (the rows between two boundaries). Each query meets
each stretch once; merging the states of stretches 1…p gives its neighbours within prefix p. So the whole series of
fractions costs one search of the full set, where one search per fraction of 25/50/75/100 % would cost 1.875.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from service.errors import InvalidInput
from workers.neighbors.certificate import float32_bound, float64_bound
from workers.neighbors.faiss_index import FlatIndex, search_flat
from workers.neighbors.rescore import pair_distances
from workers.neighbors.state import NeighborState, concatenate, empty_state, merge, replace

Array = np.ndarray
Tick = Callable[[int], None]
OVER_FETCH = 8
WIDER_FETCHES = (128, 1024)  # for rows whose first candidates are all of their own document, or near-duplicates
_QUERY_BLOCK = 4096
_TILE = 2048


@dataclass(frozen=True)
class Neighbors:
    """The k nearest other rows of each row of one prefix.

    Attributes:
        rows: (m,) ids of the prefix's rows, in the order of the permutation.
        distances: (m, k) float64, nearest first; inf where `exclude` leaves fewer than k.
        ids: (m, k) int64; −1 likewise.
        certified: share of rows proved; 1.0 from the exact engine, always.
    """

    rows: Array
    distances: Array
    ids: Array
    certified: float


@dataclass(frozen=True)
class SearchWork:
    """What each level did, in rows summed over the prefixes: certified by the float32 filter, or by float64."""

    float32_rows: int
    float64_rows: int
    pairs_rescored: int


@dataclass
class _Search:
    """One run: the stored rows, their filter copies in permuted order, and the running states."""

    stored: Array
    order: Array
    filtered: Array
    norms: Array
    scale: float
    codes: Array | None
    k: int
    rescored: int = 0


def nested_neighbors(
    stored: Array,
    index: FlatIndex,
    permutation: Array,
    sizes: Sequence[int],
    *,
    k: int = 1,
    documents: Array | None = None,
    tick: Tick = lambda rows: None,
) -> tuple[list[Neighbors], SearchWork]:
    """Neighbours within the first `sizes[p]` rows of `permutation`, for each p.

    Args:
        stored: (n, d) rows as stored; all returned distances are computed from them, in float64.
        index: their centred float32 copy.
        sizes: increasing; sizes below 2 give rows without neighbours.
        documents: (n,) codes; rows of the query's own document are then left out, as it itself always is.
        tick: told how many rows have been searched, now and then.

    Raises:
        InvalidInput: the sizes decrease.
    """
    if any(low > high for low, high in pairwise(sizes)):
        raise InvalidInput("the sizes of nested prefixes must not decrease")
    order = permutation[: sizes[-1]]
    codes = None if documents is None else documents[order]
    run = _Search(stored, order, index.rows[order], index.norms[order], index.scale, codes, k)
    stretches = [slice(low, high) for low, high in zip([0, *sizes], sizes, strict=False)]
    states = [empty_state(size, k) for size in sizes]
    float64_rows = 0
    for start in range(0, len(order), _QUERY_BLOCK):
        block = np.arange(start, min(start + _QUERY_BLOCK, len(order)))
        float64_rows += _search_block(run, block, stretches, states)
        tick(int(block[-1]) + 1)
    work = SearchWork(sum(sizes) - float64_rows, float64_rows, run.rescored)
    return [_neighbors(run, state, size) for state, size in zip(states, sizes, strict=True)], work


def _search_block(run: _Search, block: Array, stretches: list[slice], states: list[NeighborState]) -> int:
    """Search one block of queries in every stretch; writes into `states`, returns how many rows went to float64."""
    running = empty_state(len(block), run.k)
    lifted = 0
    for stretch, state in zip(stretches, states, strict=True):
        if stretch.stop > stretch.start:
            found = _filter_float32(run, block, stretch, running.distances[:, -1], run.k + 1 + OVER_FETCH)
            running = merge(running, found)
        inside = block < stretch.stop
        if not inside.any():
            continue
        for fetched in WIDER_FETCHES:
            doubtful = np.flatnonzero(inside & ~running.certified)
            if len(doubtful):
                again = _filter_float32(run, block[doubtful], slice(0, stretch.stop), _nothing(doubtful), fetched)
                running = replace(running, doubtful, again)
        doubtful = np.flatnonzero(inside & ~running.certified)
        if len(doubtful):
            running = replace(running, doubtful, _search_float64(run, block[doubtful], stretch.stop))
            lifted += len(doubtful)
        here, settled = block[inside], running.take(inside)
        state.distances[here], state.ids[here], state.floor[here] = settled.distances, settled.ids, settled.floor
    return lifted


def _nothing(rows: Array) -> Array:
    """The best distance known of rows of which nothing is known."""
    return np.full(len(rows), np.inf)


def _filter_float32(run: _Search, block: Array, stretch: slice, best: Array, fetched: int) -> NeighborState:
    """`fetched` candidates of `block` in one stretch from FAISS, re-scored where they can matter, with their floor."""
    patterns = run.filtered[stretch]
    filtered_sq, found = search_flat(run.filtered[block], patterns, fetched)
    found += stretch.start
    bound = float32_bound(patterns.shape[1])
    query_norms = run.norms[block][:, None]
    norms_sum = query_norms + run.norms[found]
    lower = bound.lower(filtered_sq, norms_sum) / run.scale
    upper = bound.upper(filtered_sq, norms_sum) / run.scale
    allowed = _allowed(run, block[:, None], found)
    upper[~allowed] = np.inf
    limit = np.minimum(best, _kth_smallest(upper, run.k))
    wanted = allowed & (lower <= limit[:, None])
    distances = _rescore(run, block, found, wanted)
    floor = np.where(allowed & ~wanted, lower, np.inf).min(axis=1)
    if fetched < len(patterns):
        floor = np.minimum(floor, _floor_unseen(run, block, filtered_sq[:, -1], limit))
    return _best(distances, run.order[found], floor, run.k)


def _floor_unseen(run: _Search, block: Array, last_sq: Array, limit: Array) -> Array:
    """A floor under the patterns FAISS did not return; their filter distance is at least `last_sq`.

    One of norm above ‖x‖ + limit is farther than `limit` by the triangle inequality. For the others the bound holds
    with that norm, so that a single far outlier does not spoil it. `limit` is never below the k-th best.
    """
    norms = run.norms[block]
    longest = np.minimum(norms + limit * run.scale * (1 + 1e-12), run.norms.max())
    floor = float32_bound(run.filtered.shape[1]).lower(last_sq, norms + longest) / run.scale
    return np.minimum(floor, limit)


def _allowed(run: _Search, queries: Array, patterns: Array) -> Array:
    """Whether a pattern counts for a query: not itself (by id), not of its document where those are excluded."""
    allowed = queries != patterns
    return allowed if run.codes is None else allowed & (run.codes[queries] != run.codes[patterns])


def _kth_smallest(values: Array, k: int) -> Array:
    """(m,) the k-th smallest of each row; inf where a row has fewer than k."""
    return np.partition(values, k - 1, axis=1)[:, k - 1] if k <= values.shape[1] else np.full(len(values), np.inf)


def _rescore(run: _Search, block: Array, found: Array, wanted: Array) -> Array:
    """True distances of the wanted pairs, inf elsewhere."""
    distances = np.full(found.shape, np.inf)
    at, column = np.nonzero(wanted)
    distances[at, column] = pair_distances(run.stored, run.stored, run.order[block[at]], run.order[found[at, column]])
    run.rescored += len(at)
    return distances


def _best(distances: Array, ids: Array, floor: Array, k: int) -> NeighborState:
    """The k best of all candidates of each query, as a state; k columns even when there are fewer candidates."""
    ids = np.where(np.isfinite(distances), ids, -1)
    candidates = NeighborState(distances, ids, floor)
    return merge(empty_state(len(floor), k), candidates)


def _search_float64(run: _Search, rows: Array, stop: int) -> NeighborState:
    """Certain answers for `rows` among the first `stop`: every pair whose float64 filter allows it is re-scored."""
    parts = [_search_float64_rows(run, part, stop) for part in np.split(rows, range(_TILE, len(rows), _TILE))]
    return concatenate(parts)


def _search_float64_rows(run: _Search, rows: Array, stop: int) -> NeighborState:
    """Two passes over tiles of patterns: first a ceiling over the k-th distance, then all pairs below it."""
    centre = run.stored[run.order[rows[0]]].astype(np.float64)
    queries = (run.stored[run.order[rows]] - centre) * run.scale
    bound = float64_bound(queries.shape[1])
    ceilings = np.full((len(rows), run.k), np.inf)
    for part in _tiles(stop):
        filtered_sq, norms_sum = _filter_tile(run, queries, centre, part)
        upper = np.where(_allowed_tile(run, rows, part), bound.upper(filtered_sq, norms_sum), np.inf)
        ceilings = np.partition(np.hstack([ceilings, upper]), run.k - 1, axis=1)[:, : run.k]
    found = empty_state(len(rows), run.k)
    for part in _tiles(stop):
        filtered_sq, norms_sum = _filter_tile(run, queries, centre, part)
        near = bound.lower(filtered_sq, norms_sum) <= ceilings.max(axis=1)[:, None]
        found = merge(found, _settle(run, rows, part, near & _allowed_tile(run, rows, part)))
    return found


def _tiles(stop: int) -> list[slice]:
    return [slice(start, min(start + _TILE, stop)) for start in range(0, stop, _TILE)]


def _allowed_tile(run: _Search, rows: Array, part: slice) -> Array:
    return _allowed(run, rows[:, None], np.arange(part.start, part.stop)[None, :])


def _filter_tile(run: _Search, queries: Array, centre: Array, part: slice) -> tuple[Array, Array]:
    """Squared filter distances of all pairs of a tile in float64, and the sums of their norms."""
    patterns = (run.stored[run.order[part]] - centre) * run.scale
    query_sq, pattern_sq = (queries**2).sum(axis=1)[:, None], (patterns**2).sum(axis=1)
    return query_sq + pattern_sq - 2 * (queries @ patterns.T), np.sqrt(query_sq) + np.sqrt(pattern_sq)


def _settle(run: _Search, rows: Array, part: slice, wanted: Array) -> NeighborState:
    """Re-score the wanted pairs of a tile and keep the k best of each row; nothing is left out of account."""
    at, column = np.nonzero(wanted)
    ids = run.order[part][column]
    distances = pair_distances(run.stored, run.stored, run.order[rows[at]], ids)
    run.rescored += len(at)
    order = np.lexsort((ids, distances, at))
    at, ids, distances = at[order], ids[order], distances[order]
    rank = np.arange(len(at)) - np.searchsorted(at, at)
    kept = (rank < run.k) & np.isfinite(distances)
    state = empty_state(len(rows), run.k)
    state.distances[at[kept], rank[kept]], state.ids[at[kept], rank[kept]] = distances[kept], ids[kept]
    return state


def _neighbors(run: _Search, state: NeighborState, size: int) -> Neighbors:
    certified = float(state.certified.mean()) if size else 1.0
    return Neighbors(run.order[:size], state.distances, state.ids, certified)
