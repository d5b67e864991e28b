"""Nested nearest neighbours by FAISS's indices, beside our own engine.

Each stretch between two prefixes has an index; prefix p merges what the first p stretches returned. All candidates are
re-scored in float64 from the stored rows, and a row itself is dropped by its id. What the flat index leaves in doubt
by the rounding bound of its float32 distances goes to the exact engine, so `faiss-flat` is exact; IVF and HNSW are
approximate, and say so by the recall and bias measured on a sample of rows. Rows for which they return fewer than k
admissible rows (all candidates were of the row's own document, say) go to the exact engine too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from workers.neighbors.answers import Neighbors
from workers.neighbors.certificate import float32_bound
from workers.neighbors.exact import exact_for_rows
from workers.neighbors.faiss_index import FlatIndex, Kind, make_index, search_index
from workers.neighbors.settling import pair_distances
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick

Array = np.ndarray
_OVER_FETCH = 8
_QUERY_BLOCK = 4096


@dataclass(frozen=True)
class FaissWork:
    """What was done: candidates re-scored in float64, and rows that went on to the exact engine."""

    rescored: int
    lifted: int


@dataclass
class _Best:
    """The k best of some queries so far, and a floor: no row left out is nearer."""

    distances: Array
    ids: Array
    floor: Array

    def merge(self, distances: Array, ids: Array, floor: Array) -> None:
        k = self.ids.shape[1]
        distances, ids = np.hstack([self.distances, distances]), np.hstack([self.ids, ids])
        order = np.lexsort((ids, distances), axis=1)[:, :k]
        self.distances = np.take_along_axis(distances, order, axis=1)
        self.ids = np.take_along_axis(ids, order, axis=1)
        self.floor = np.minimum(self.floor, floor)


def faiss_neighbors(
    kind: Kind,
    stored: StoredRows,
    index: FlatIndex,
    permutation: Array,
    sizes: Sequence[int],
    *,
    k: int = 1,
    codes: Array | None = None,
    tick: Tick = lambda share: None,
) -> tuple[list[Neighbors], FaissWork]:
    """The k nearest within the first `sizes[p]` rows of `permutation`, for each p; arguments as `exact_neighbors`.

    Args:
        index: the rows centred and rounded to float32, which FAISS searches.
    """
    order = permutation[: sizes[-1]]
    codes = np.arange(len(stored)) if codes is None else codes
    answers = [Neighbors.without_any(order[:size], k) for size in sizes]
    doubtful = [np.zeros(size, dtype=bool) for size in sizes]
    stretches = [order[low:high] for low, high in pairwise([0, *sizes])]
    indices = [make_index(kind, index.rows[stretch]) if len(stretch) else None for stretch in stretches]
    rescored = 0
    for start in range(0, len(order), _QUERY_BLOCK):
        queries = order[start : start + _QUERY_BLOCK]
        m = len(queries)
        best = _Best(np.full((m, k), np.inf), np.full((m, k), -1, dtype=np.int64), np.full(m, np.inf))
        for p, size in enumerate(sizes):
            if indices[p] is not None:
                rescored += _meet(stored, index, codes, queries, stretches[p], indices[p], best)
            asked = np.arange(start, min(start + m, size))
            answers[p].distances[asked], answers[p].ids[asked] = best.distances[: len(asked)], best.ids[: len(asked)]
            kth = best.distances[:, -1]
            proved = (kth <= best.floor) | (kth == 0) if kind == "faiss-flat" else np.isfinite(kth)
            doubtful[p][asked] = ~proved[: len(asked)]
        tick((start + m) / len(order))
    lifted = _lift(stored, order, sizes, k, codes, answers, doubtful)
    if kind != "faiss-flat":
        answers = [replace(answer, certified=0.0) for answer in answers]
    return answers, FaissWork(rescored, lifted)


def _meet(
    stored: StoredRows, index: FlatIndex, codes: Array, queries: Array, stretch: Array, found_in: object, best: _Best
) -> int:
    """Merge the candidates of one stretch into `best`; how many were re-scored."""
    filtered_sq, found = search_index(found_in, index.rows[queries], best.ids.shape[1] + 1 + _OVER_FETCH)
    ids = np.where(found < 0, -1, stretch[found])
    admissible = (ids >= 0) & (codes[queries][:, None] != codes[ids])
    at, column = np.nonzero(admissible)
    distances = np.full(ids.shape, np.inf)
    pairs = torch.from_numpy(queries[at]), torch.from_numpy(ids[at, column])
    distances[at, column] = pair_distances(stored, stored, *pairs).numpy()
    complete = found.shape[1] == len(stretch)
    floor = np.full(len(queries), np.inf) if complete else _floor(index, queries, filtered_sq[:, -1], best, distances)
    best.merge(distances, np.where(np.isfinite(distances), ids, -1), floor)
    return len(at)


def _floor(index: FlatIndex, queries: Array, last_sq: Array, best: _Best, distances: Array) -> Array:
    """A floor under the rows that a flat index did not return; their filter distance is at least `last_sq`.

    A row of norm above ‖x‖ + limit is farther than `limit`, the k-th best so far, by the triangle inequality. For the
    others the bound holds with that norm, so that a single far outlier does not spoil it.
    """
    k = best.ids.shape[1]
    limit = np.partition(np.hstack([best.distances, distances]), k - 1, axis=1)[:, k - 1]
    norms = index.norms[queries]
    longest = np.minimum(norms + limit * index.scale * (1 + 1e-12), index.norms.max())
    floor = float32_bound(index.rows.shape[1]).lower(last_sq, norms + longest) / index.scale
    return np.minimum(floor, limit)


def _lift(
    stored: StoredRows,
    order: Array,
    sizes: Sequence[int],
    k: int,
    codes: Array,
    answers: list[Neighbors],
    doubtful: list[Array],
) -> int:
    """Answer the rows in doubt by the exact engine, in one search; how many there were."""
    anywhere = np.zeros(len(order), dtype=bool)
    for mask in doubtful:
        anywhere[: len(mask)] |= mask
    places = np.flatnonzero(anywhere)
    if not len(places):
        return 0
    found = exact_for_rows(stored, order, sizes, order[places], codes=codes, k=k)
    for answer, mask, part in zip(answers, doubtful, found, strict=True):
        inside = places < len(mask)
        answer.distances[places[inside]], answer.ids[places[inside]] = part.distances[inside], part.ids[inside]
    return len(places)
