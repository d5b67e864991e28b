"""Nested nearest neighbours by FAISS's indices.

Each stretch between two prefixes has an index; the answer for prefix p merges the results of the first p stretches.
All candidates are rescored in float64 from the stored rows, and pairs of equal code are dropped. A row whose k-th
distance does not lie below the rounding bound of the rows that the flat index left out is searched again by the exact
engine, so `faiss-flat` is exact. IVF and HNSW are approximate; their recall and bias are measured on a sample of rows.
A row for which they return fewer than k admissible rows is searched by the exact engine too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from workers.devices.device import CPU
from workers.neighbors.answers import Neighbors, check_distances
from workers.neighbors.certificate import float32_bound
from workers.neighbors.exact import exact_for_rows
from workers.neighbors.faiss_index import FlatIndex, Kind, make_index, search_index
from workers.neighbors.question import Question
from workers.neighbors.rescoring import pair_distances
from workers.neighbors.ticking import Tick

Array = np.ndarray
_OVER_FETCH = 8
_QUERY_BLOCK = 4096


@dataclass(frozen=True)
class FaissWork:
    """Number of candidates rescored in float64, and of rows searched again by the exact engine (`lifted`)."""

    rescored: int
    lifted: int


@dataclass
class _Best:
    """The k nearest rows of some queries so far, and a lower bound (`floor`) on the distance of all other rows."""

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
    engine: Kind,
    question: Question,
    index: FlatIndex,
    tick: Tick = lambda share: None,
    device: torch.device = CPU,
) -> tuple[list[Neighbors], FaissWork]:
    """The k nearest other rows of each row in each prefix; `tick` as in `exact_neighbors`.

    Args:
        question: `queries` must be None.
        index: the database rows centred and rounded to float32, which FAISS searches.
        device: a GPU, or the CPU even where FAISS sees GPUs.
    """
    assert question.queries is None
    order, sizes, k = question.order.numpy(), question.sizes, question.k
    answers = [Neighbors.without_any(order[:size], k) for size in sizes]
    unproved = [np.zeros(size, dtype=bool) for size in sizes]
    stretches = [order[low:high] for low, high in pairwise([0, *sizes])]
    indices = [make_index(engine, index.rows[stretch], device) if len(stretch) else None for stretch in stretches]
    rescored = 0
    for start in range(0, len(order), _QUERY_BLOCK):
        queries = order[start : start + _QUERY_BLOCK]
        m = len(queries)
        best = _Best(np.full((m, k), np.inf), np.full((m, k), -1, dtype=np.int64), np.full(m, np.inf))
        for p, size in enumerate(sizes):
            if indices[p] is not None:
                rescored += _search_stretch(question, index, queries, stretches[p], indices[p], best)
            places = np.arange(start, min(start + m, size))
            inside = slice(0, len(places))
            answers[p].distances[places], answers[p].ids[places] = best.distances[inside], best.ids[inside]
            kth = best.distances[:, -1]
            proved = (kth <= best.floor) | (kth == 0) if engine == "faiss-flat" else np.isfinite(kth)
            unproved[p][places] = ~proved[inside]
        tick((start + m) / len(order))
    lifted = _search_exactly(question, answers, unproved)
    check_distances(answers)
    if engine != "faiss-flat":
        answers = [replace(answer, certified=0.0) for answer in answers]
    return answers, FaissWork(rescored, lifted)


def _search_stretch(
    question: Question, index: FlatIndex, queries: Array, stretch: Array, found_in: object, best: _Best
) -> int:
    """Merge the candidates of one stretch into `best`; returns how many were rescored."""
    stored, codes = question.database, question.database_codes
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
    """(m,) lower bound on the distance of each query to the rows that a flat index did not return.

    The filter distance of such a row is at least `last_sq`. Let `limit` be the k-th best distance so far. A row of
    norm above ‖x‖ + limit is farther than `limit`, by the triangle inequality. For the others the rounding bound is
    taken with that norm, so that a single far outlier does not loosen it.
    """
    k = best.ids.shape[1]
    limit = np.partition(np.hstack([best.distances, distances]), k - 1, axis=1)[:, k - 1]
    norms = index.norms[queries]
    longest = np.minimum(norms + limit * index.scale * (1 + 1e-12), index.norms.max())
    floor = float32_bound(index.rows.shape[1]).lower(last_sq, norms + longest) / index.scale
    return np.minimum(floor, limit)


def _search_exactly(question: Question, answers: list[Neighbors], unproved: list[Array]) -> int:
    """Answer the unproved rows of all prefixes in one search by the exact engine; returns how many there were."""
    anywhere = np.zeros(len(question.order), dtype=bool)
    for mask in unproved:
        anywhere[: len(mask)] |= mask
    places = np.flatnonzero(anywhere)
    if not len(places):
        return 0
    found = exact_for_rows(question, question.order.numpy()[places])
    for answer, mask, part in zip(answers, unproved, found, strict=True):
        inside = places < len(mask)
        answer.distances[places[inside]], answer.ids[places[inside]] = part.distances[inside], part.ids[inside]
    return len(places)
