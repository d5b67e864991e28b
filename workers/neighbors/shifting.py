"""The shift of rounded products: a number below the half squared distances of most rows to their nearest.

Every shift gives right bounds. Products of pairs just beyond it are rounded least; pairs nearer than it have no order
among their products and are all looked at, so they must be few.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from workers.devices.memory import is_out_of_memory
from workers.neighbors.encoding import ABSENT
from workers.neighbors.search import Search

_QUERIES, _ONE_IN = 32, 32  # the queries that are measured, and at most one in 32
_COLUMNS = 4096  # of one product
_QUANTILE = 1 / 32
_MARGIN = 0.8  # under the quantile


def shifted(search: Search) -> Search:
    """The search with a shift, where the device rounds products; without one where its memory holds no measurement."""
    queries, database = search.queries, search.database
    if not database.encoding.rounded:
        return search
    try:
        nearest = _nearest_half_sq(search)
    except Exception as error:
        if is_out_of_memory(error):
            return search
        raise
    encoding = replace(database.encoding, shift=_shift_for(nearest, database.encoding.dtype))
    database = replace(database, encoding=encoding)
    queries = database if search.symmetric else replace(queries, encoding=encoding)
    return replace(search, queries=queries, database=database)


def _shift_for(nearest: Tensor, dtype: torch.dtype) -> float:
    """The low quantile of some half squared distances, less a margin, as a number of the format."""
    if not len(nearest):
        return 0.0
    low = nearest.sort().values[int(_QUANTILE * len(nearest))]
    return float((_MARGIN * low).to(dtype))


def _nearest_half_sq(search: Search) -> Tensor:
    """(m,) products of some queries with their nearest row that is no duplicate, from a search without a shift."""
    queries, database, encoding = search.queries, search.database, search.database.encoding
    full = torch.nonzero(queries.layout.ids >= 0)[:, 0]
    rows = full[:: max(_ONE_IN, len(full) // _QUERIES)]
    left = encoding.left(queries.right_of(rows))
    codes, equal = queries.codes[rows][:, None], 2 * encoding.gamma * queries.norms[rows][:, None] ** 2
    nearest = torch.full((len(rows),), torch.inf, device=encoding.device)
    for start in range(0, database.layout.slots, _COLUMNS):
        columns = slice(start, min(start + _COLUMNS, database.layout.slots))
        values = encoding.values(encoding.product(left, database.right(columns)))
        values.masked_fill_((values <= equal) | (codes == database.codes[columns]), torch.inf)
        nearest = torch.minimum(nearest, values.amin(dim=1))
    return nearest[nearest < ABSENT]
