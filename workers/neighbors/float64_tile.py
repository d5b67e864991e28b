"""One tile of pairs in float64, with rigorous bounds of their distances."""

from __future__ import annotations

import torch
from torch import Tensor

from workers.neighbors.certificate import float64_bound
from workers.neighbors.filtering import Search


class Float64Tile:
    """Some queries and some database rows, full slots on the CPU, about a centre of one's choice.

    Attributes:
        rows: (m,) int64 slots of the queries.
        columns: (n,) int64 full slots of the database.
    """

    def __init__(self, search: Search, rows: Tensor, own: Tensor, centre: Tensor, slots: Tensor) -> None:
        """`own` are the queries' rows about `centre`, which many tiles share."""
        self._search, self._own, self._centre = search, own, centre
        self.rows, self.columns = rows, slots[search.database.layout.ids[slots] >= 0]

    def bounds(self) -> tuple[Tensor, Tensor]:
        """(m, n) float64 bounds under and over the distances; inf and inf where a pair does not count."""
        database = self._search.database
        patterns = database.rows.take_float64(database.layout.ids[self.columns], self._centre)
        query_sq, pattern_sq = self._own.square().sum(dim=1)[:, None], patterns.square().sum(dim=1)
        filtered_sq = torch.addmm(query_sq + pattern_sq, self._own, patterns.T, alpha=-2)
        norms_sum = query_sq.sqrt() + pattern_sq.sqrt()
        bound = float64_bound(self._own.shape[1])
        slack_sq, slack = bound.gamma * norms_sum**2 + bound.underflow, 4 * bound.unit * norms_sum
        lowers = (filtered_sq - slack_sq).clamp_(min=0).sqrt_() - slack
        uppers = (filtered_sq + slack_sq).clamp_(min=0).sqrt_() + slack
        excluded = self._excluded()
        return lowers.masked_fill_(excluded, torch.inf), uppers.masked_fill_(excluded, torch.inf)

    def _excluded(self) -> Tensor:
        queries, database = self._search.queries.codes, self._search.database.codes
        return queries[self.rows].cpu()[:, None] == database[self.columns].cpu()
