"""Bounds on the distances of a tile's pairs, from their products.

The bounds of a pair (x, y) follow from the encoding's two inequalities: with product v, e and N as in encoding.py,

    ‖x − y‖ ≤ √(2 (v + relative · |v − s|) + γ (Nx + Ny)² + 2 absolute) + ex + ey,
    ‖x − y‖ ≥ √(2 (v − relative · |v − s|) − γ (Nx + Ny)² − 2 absolute) − ex − ey.
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from workers.neighbors.encoding import ABSENT
from workers.neighbors.layout import BLOCK
from workers.neighbors.search import Search

SLACK = 1e-5  # relative; more than the float32 rounding of the bounds themselves
LONGEST = 1e14  # an upper bound beyond any distance between rows of norm ≤ 1, whose square float32 still holds


class TileBounds:
    """Bounds on the distances of some rows to some columns, or to the nearest row of a block of columns."""

    def __init__(self, search: Search, rows: Tensor, columns: slice) -> None:
        """`rows` are slots of the queries."""
        self.encoding, self.rows = search.database.encoding, rows
        self.norms, self.errors = search.queries.norms[rows], search.queries.errors[rows]
        self.column_norms, self.column_errors = search.database.norms[columns], search.database.errors[columns]
        blocks = slice(columns.start // BLOCK, columns.stop // BLOCK)
        self.block_norms, self.block_errors = search.database.block_norms[blocks], search.database.block_errors[blocks]

    def take(self, at: Tensor) -> TileBounds:
        """The bounds of some of the rows."""
        taken = copy(self)
        taken.rows, taken.norms, taken.errors = self.rows[at], self.norms[at], self.errors[at]
        return taken

    def uppers(self, values: Tensor, blocks: Tensor) -> Tensor:
        """(m, j) upper bounds on the distance to the row of each product; inf where no row is admissible.

        Args:
            values: (m, j) products.
            blocks: (j,), or (m, j), the blocks that their rows are in.
        """
        slack_sq = self._slack_sq(self.norms[:, None], self.block_norms[blocks])
        distances = (2 * self.encoding.most_half_sq(values.clamp(min=0)) + slack_sq).sqrt()
        uppers = (distances + self.errors[:, None] + self.block_errors[blocks]) * (1 + SLACK)
        return uppers.masked_fill_(values >= ABSENT, torch.inf)

    def lowers(self, values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(pairs,) lower bounds on the distances of the pairs (rows, columns)."""
        slack_sq = self._slack_sq(self.norms[rows], self.column_norms[columns])
        distances = (2 * self.encoding.least_half_sq(values) - slack_sq).clamp(min=0).sqrt()
        return ((distances - self.errors[rows] - self.column_errors[columns]) * (1 - SLACK)).clamp(min=0)

    def largest_values(self, limits: Tensor, segment: slice) -> Tensor:
        """(m, blocks) the largest product for which a pair's lower bound can be within the row's limit.

        Solving `lowers` ≤ limit gives, with e, N of the row and E, M of the block, the largest product whose smallest
        ½‖x' − y'‖² is

            ½ (limit + e + E)² + ½ γ (N + M)² + absolute.
        """
        return self._largest(limits, self.block_norms[segment], self.block_errors[segment])

    def largest_value(self, limits: Tensor, segment: slice) -> Tensor:
        """(m,) the largest product of `largest_values` at most, by the largest norm and error of the blocks."""
        norm, error = self.block_norms[segment].amax(), self.block_errors[segment].amax()
        return self._largest(limits, norm[None], error[None])[:, 0]

    def _largest(self, limits: Tensor, norms: Tensor, errors: Tensor) -> Tensor:
        """(m, blocks), a matrix product: each term is the product of a number of the row and one of the block."""
        gamma, reach = self.encoding.gamma, (limits * (1 + 2 * SLACK)).clamp(max=LONGEST) + self.errors
        of_rows = torch.stack([reach**2 + gamma * self.norms**2, reach, self.norms, torch.ones_like(reach)], dim=1)
        constant = errors**2 + gamma * norms**2 + 2 * self.encoding.absolute
        of_blocks = torch.stack([torch.ones_like(norms), 2 * errors, 2 * gamma * norms, constant])
        largest = self.encoding.largest_value(of_rows @ (of_blocks * ((1 + 2 * SLACK) / 2)))
        none = torch.zeros_like(limits).masked_fill_(limits < 0, -torch.inf)
        return largest.add_(none[:, None])  # four times as fast as a mask of all blocks

    def _slack_sq(self, norms: Tensor, others: Tensor) -> Tensor:
        return self.encoding.gamma * (norms + others) ** 2 + 2 * self.encoding.absolute


def pair_bounds(search: Search, rows: Tensor, columns: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds on the distances of pairs of slots, from their products; inf for excluded pairs."""
    queries, database, encoding = search.queries, search.database, search.database.encoding
    slack_sq = encoding.gamma * (queries.norms[rows] + database.norms[columns]) ** 2 + 2 * encoding.absolute
    errors = queries.errors[rows] + database.errors[columns]
    low = (2 * encoding.least_half_sq(values) - slack_sq).clamp(min=0).sqrt()
    high = (2 * encoding.most_half_sq(values.clamp(min=0)) + slack_sq).sqrt()
    uppers = ((high + errors) * (1 + SLACK)).masked_fill(values >= ABSENT, torch.inf)
    return ((low - errors) * (1 - SLACK)).clamp(min=0), uppers
