"""Turns rescored pairs into the neighbours of each query in each prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from service.norms import SMALLEST_NORMAL
from workers.neighbors.pairs import Pairs, in_blocks, order_by_row, rank_in_row

Array = np.ndarray


@dataclass(frozen=True)
class Neighbors:
    """The k nearest admissible rows of each query within one prefix.

    Attributes:
        rows: (m,) ids of the queries; where a set is searched in itself, the prefix's rows in permutation order.
        distances: (m, k) float64, nearest first; inf where fewer than k rows are admissible.
        ids: (m, k) int64 ids of the neighbours; −1 where there is none.
        certified: share of the rows whose neighbours are proved; always 1.0 from an exact engine.
    """

    rows: Array
    distances: Array
    ids: Array
    certified: float

    def first(self, k: int) -> Neighbors:
        """The k nearest of each list."""
        return Neighbors(self.rows, self.distances[:, :k], self.ids[:, :k], self.certified)

    @classmethod
    def without_any(cls, rows: Array, k: int) -> Neighbors:
        """The answer for queries that have no admissible row."""
        return cls(rows, np.full((len(rows), k), np.inf), np.full((len(rows), k), -1, dtype=np.int64), 1.0)


def nearest_pairs(
    rescored: Pairs, query_ids: Tensor, database_ids: Tensor, prefix_queries: Sequence[Tensor], k: int
) -> list[Neighbors]:
    """The k nearest of each query in each prefix, equal distances by the smaller id.

    Args:
        rescored: pairs of slots with their distances; a pair may come twice.
        query_ids, database_ids: row id of each slot.
        prefix_queries: ids of the queries of each prefix; each a prefix of the next.

    Raises:
        InvalidInput: as `check_distances`.
    """
    device, asked = query_ids.device, prefix_queries[-1]
    places = torch.full((int(query_ids.max()) + 1,), -1, device=device)
    places[asked.to(device)] = torch.arange(len(asked), device=device)
    answers = [_Lists.of(rows, k, device) for rows in prefix_queries]
    for part in in_blocks(rescored):
        by_id = part.take(torch.argsort(database_ids[part.columns], stable=True))
        ranked = by_id.take(order_by_row(by_id, by_id.uppers))
        place, ids = places[query_ids[ranked.rows]], database_ids[ranked.columns]
        again = torch.zeros(len(place), dtype=torch.bool, device=device)
        again[1:] = (place[1:] == place[:-1]) & (ids[1:] == ids[:-1])
        for prefix, lists in enumerate(answers):
            here = (ranked.prefixes <= prefix) & ~again
            rank = rank_in_row(ranked.rows[here])
            best = rank < k
            cells = place[here][best], rank[best]
            lists.distances[cells], lists.ids[cells] = ranked.uppers[here][best], ids[here][best]
    found = [lists.neighbors() for lists in answers]
    check_distances(found)
    return found


@dataclass(frozen=True)
class _Lists:
    """The answer of one prefix while it is filled."""

    rows: Tensor
    distances: Tensor
    ids: Tensor

    @classmethod
    def of(cls, rows: Tensor, k: int, device: torch.device) -> _Lists:
        distances = torch.full((len(rows), k), torch.inf, dtype=torch.float64, device=device)
        return cls(rows, distances, torch.full((len(rows), k), -1, device=device))

    def neighbors(self) -> Neighbors:
        return Neighbors(self.rows.numpy(), self.distances.cpu().numpy(), self.ids.cpu().numpy(), 1.0)


def check_distances(answers: Sequence[Neighbors]) -> None:
    """Refuse distances above 0 that are so short that a double has too few digits for them.

    Raises:
        InvalidInput: naming the rows.
    """
    for found in answers:
        at, column = np.nonzero((found.distances > 0) & (found.distances < SMALLEST_NORMAL))
        if len(at):
            row, other = found.rows[at[0]], found.ids[at[0], column[0]]
            raise InvalidInput(
                f"rows {row} and {other} are {found.distances[at[0], column[0]]:.3g} apart: distances below "
                f"{SMALLEST_NORMAL:.3g} underflow a double; scale the vectors up"
            )
