"""The question that a search answers: which queries, in which nested databases, how many neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Question:
    """Find the k nearest database rows of each query within the first `sizes[p]` rows of `permutation`, for each p.

    Attributes:
        database: (n, d) rows; all returned distances are computed from them as stored, in float64.
        permutation: (n,) row ids; its first `sizes[p]` ids are the database of prefix p.
        sizes: sizes of the nested prefixes, not decreasing; a size below 2 gives rows without neighbours.
        k: neighbours per query.
        codes: (n,) int64; a query and a database row of equal code are not compared. None: each row has its own code,
            so only the row itself is left out.
        queries: (m, d) rows of another set; every one is searched for in every prefix. None: the rows of each prefix
            are searched for among themselves.
        query_codes: (m,) int64, compared with `codes`. None: every query is compared with all rows.

    Raises:
        InvalidInput: the sizes decrease, or the dimensions differ.
    """

    database: StoredRows
    permutation: Array
    sizes: Sequence[int]
    k: int = 1
    codes: Array | None = None
    queries: StoredRows | None = None
    query_codes: Array | None = None

    def __post_init__(self) -> None:
        if any(low > high for low, high in pairwise(self.sizes)):
            raise InvalidInput("the sizes of nested prefixes must not decrease")
        if self.queries is not None and self.queries.d != self.database.d:
            message = f"queries have {self.queries.d} dimensions, the database {self.database.d}"
            raise InvalidInput(message, field="reference")

    @classmethod
    def of_all_rows(cls, rows: StoredRows, k: int = 1, codes: Array | None = None) -> Question:
        """The k nearest other rows of every row of a set, in stored order."""
        return cls(rows, np.arange(len(rows)), [len(rows)], k, codes)

    @cached_property
    def order(self) -> Tensor:
        """(sizes[-1],) int64 ids of the largest prefix."""
        return torch.from_numpy(np.ascontiguousarray(self.permutation[: self.sizes[-1]], dtype=np.int64))

    @cached_property
    def query_ids(self) -> Tensor:
        """(m,) int64 ids of all query rows: those of `queries`, or those of the largest prefix."""
        return self.order if self.queries is None else torch.arange(len(self.queries))

    @property
    def prefix_queries(self) -> list[Tensor]:
        """Ids of the query rows of each prefix."""
        if self.queries is None:
            return [self.order[:size] for size in self.sizes]
        return [self.query_ids] * len(self.sizes)

    @cached_property
    def database_codes(self) -> Array:
        """(n,) int64 `codes`, or the ids where there are none."""
        return np.arange(len(self.database)) if self.codes is None else np.asarray(self.codes, dtype=np.int64)
