"""From rescored pairs to the neighbours of each query in each prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from service.norms import SMALLEST_NORMAL
from workers.neighbors.pairs import Pairs, order_by_row, rank_in_row

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


class AnswerLists:
    """The neighbours of each query in each prefix while they are filled in; several threads may fill different rows."""

    def __init__(self, query_ids: Tensor, database_ids: Tensor, prefix_queries: Sequence[Tensor], k: int) -> None:
        """
        Args:
            query_ids, database_ids: row id of each slot.
            prefix_queries: ids of the queries of each prefix; each a prefix of the next.
        """
        self._ids, self._k, device = database_ids, k, query_ids.device
        asked = prefix_queries[-1].to(device)
        of_id = torch.full((int(query_ids.max()) + 1,), -1, device=device)
        of_id[asked] = torch.arange(len(asked), device=device)
        self._places = of_id[query_ids]
        self._rows = prefix_queries
        self._distances = [
            torch.full((len(rows), k), torch.inf, dtype=torch.float64, device=device) for rows in prefix_queries
        ]
        self._neighbors = [torch.full((len(rows), k), -1, device=device) for rows in prefix_queries]

    def put(self, pairs: Pairs, first_slot: int = 0) -> None:
        """Enter the k nearest of each row of `pairs` in each prefix, equal distances by the smaller id.

        Args:
            pairs: slots with their distances, all of a row's that count; a pair may come twice.
            first_slot: of the queries, from which the rows are counted.
        """
        ids = self._ids[pairs.columns]
        order = _by_row_and_distance(pairs, ids)
        rows, first, distances, ids = pairs.rows[order], pairs.prefixes[order], pairs.uppers[order], ids[order]
        again = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        again[1:] = (rows[1:] == rows[:-1]) & (ids[1:] == ids[:-1])
        for prefix, (found, neighbors) in enumerate(zip(self._distances, self._neighbors, strict=True)):
            here = torch.nonzero((first <= prefix) & ~again)[:, 0]
            rank = rank_in_row(rows[here])
            best = rank < self._k
            at = here[best]
            cells = self._places[rows[at] + first_slot], rank[best]
            found[cells], neighbors[cells] = distances[at], ids[at]

    def neighbors(self) -> list[Neighbors]:
        """The lists of each prefix.

        Raises:
            InvalidInput: as `check_distances`.
        """
        lists = zip(self._rows, self._distances, self._neighbors, strict=True)
        found = [Neighbors(rows.numpy(), gaps.cpu().numpy(), ids.cpu().numpy(), 1.0) for rows, gaps, ids in lists]
        check_distances(found)
        return found


def _by_row_and_distance(pairs: Pairs, ids: Tensor) -> Tensor:
    """The order by row, then distance, then id."""
    order = order_by_row(pairs, pairs.uppers)
    rows, distances = pairs.rows[order], pairs.uppers[order]
    tied = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    tied[1:] = (rows[1:] == rows[:-1]) & (distances[1:] == distances[:-1])
    tied[:-1] |= tied[1:].clone()
    at = torch.nonzero(tied)[:, 0]  # few: ties alone are ordered by three keys
    if len(at):
        among = order[at]
        keys = (of[among].cpu().numpy() for of in (ids, pairs.uppers, pairs.rows))
        order[at] = among[torch.from_numpy(np.lexsort(tuple(keys))).to(at.device)]
    return order


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
