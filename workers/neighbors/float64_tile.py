"""One tile of pairs in float64, with rigorous bounds on their distances."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.neighbors.certificate import float64_bound
from workers.neighbors.search import Search


class Float64Tile:
    """Some queries and some database rows in full slots, about any centre, on the device of the rows.

    Attributes:
        rows: (m,) int64 slots of the queries.
        columns: (n,) int64 full slots of the database.
    """

    def __init__(self, search: Search, rows: Tensor, query_rows: Tensor, centre: Tensor, slots: Tensor) -> None:
        """`query_rows` are the rows of the queries about `centre`; many tiles share them."""
        self._search, self._query_rows, self._centre = search, query_rows, centre
        self.rows, self.columns = rows, slots[search.database.layout.ids[slots] >= 0]

    def bounds(self) -> tuple[Tensor, Tensor]:
        """(m, n) float64 lower and upper bounds on the distances; both inf where a pair is excluded."""
        database = self._search.database
        database_rows = database.rows.take_float64(database.layout.ids[self.columns], self._centre)
        query_sq, database_sq = self._query_rows.square().sum(dim=1)[:, None], database_rows.square().sum(dim=1)
        filtered_sq = torch.addmm(query_sq + database_sq, self._query_rows, database_rows.T, alpha=-2)
        norms_sum = query_sq.sqrt() + database_sq.sqrt()
        bound = float64_bound(self._query_rows.shape[1])
        slack_sq, slack = bound.gamma * norms_sum**2 + bound.underflow, 4 * bound.unit * norms_sum
        lowers = (filtered_sq - slack_sq).clamp_(min=0).sqrt_() - slack
        uppers = (filtered_sq + slack_sq).clamp_(min=0).sqrt_() + slack
        excluded = self._excluded()
        return lowers.masked_fill_(excluded, torch.inf), uppers.masked_fill_(excluded, torch.inf)

    def _excluded(self) -> Tensor:
        queries, database = self._search.queries.codes, self._search.database.codes
        return queries[self.rows][:, None] == database[self.columns]
