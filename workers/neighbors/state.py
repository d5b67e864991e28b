"""What is known of each query so far, and how two such states merge.

A state holds the k best candidates, with true distances, and a floor: no pattern left out is nearer than it. Merging
the states of two disjoint sets of patterns takes the k best of both and the lower floor. It is associative and
commutative, so the parts of a database can be searched in any order, anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class NeighborState:
    """The k best candidates of m queries.

    Attributes:
        distances: (m, k) float64 true distances, ascending; inf where there is no candidate.
        ids: (m, k) int64 row ids; −1 where there is no candidate.
        floor: (m,) every pattern searched but not among the candidates is at least this far.
    """

    distances: Array
    ids: Array
    floor: Array

    @property
    def certified(self) -> Array:
        """(m,) bool: the candidates are the k nearest (up to ties): nothing left out can be nearer."""
        kth = self.distances[:, -1]
        return (kth <= self.floor) | (kth == 0)

    def take(self, chosen: Array) -> NeighborState:
        return NeighborState(self.distances[chosen], self.ids[chosen], self.floor[chosen])


def empty_state(m: int, k: int) -> NeighborState:
    """The state before anything was searched: the neutral element of `merge`."""
    return NeighborState(np.full((m, k), np.inf), np.full((m, k), -1, dtype=np.int64), np.full(m, np.inf))


def merge(a: NeighborState, b: NeighborState) -> NeighborState:
    """The state of both parts together; equal distances are ordered by id."""
    k = a.ids.shape[1]
    distances, ids = np.hstack([a.distances, b.distances]), np.hstack([a.ids, b.ids])
    order = np.lexsort((ids, distances), axis=1)[:, :k]
    return NeighborState(
        np.take_along_axis(distances, order, axis=1),
        np.take_along_axis(ids, order, axis=1),
        np.minimum(a.floor, b.floor),
    )


def concatenate(states: Sequence[NeighborState]) -> NeighborState:
    """The states of further queries, one after another."""
    return NeighborState(
        np.concatenate([state.distances for state in states]),
        np.concatenate([state.ids for state in states]),
        np.concatenate([state.floor for state in states]),
    )


def replace(state: NeighborState, at: Array, by: NeighborState) -> NeighborState:
    """`state` with the queries at the positions `at` answered by `by`."""
    distances, ids, floor = state.distances.copy(), state.ids.copy(), state.floor.copy()
    distances[at], ids[at], floor[at] = by.distances, by.ids, by.floor
    return NeighborState(distances, ids, floor)
