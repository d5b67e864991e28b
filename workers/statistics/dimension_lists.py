"""The input of estimators of the intrinsic dimension: logarithms of neighbour distances, without duplicates.

Rows at distance 0 from another row are left out in both roles, as rows and as neighbours. An estimator is a sum over
rows of terms of log T_1 … log T_needed, T_j the distance to the j-th neighbour; the document jackknife needs that sum
without each document, which differs by the rows of the document and by the terms of rows that had neighbours in it.
A row that is equal to one of a removed document stays left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.statistics.documents import Documents
from workers.statistics.estimate import (
    ALL_EQUAL,
    NO_NEIGHBORS,
    TOO_FEW_ROWS,
    Estimate,
    jackknife_estimate,
    too_small,
)
from workers.statistics.lists import NeighborLists, blocks_of_rows

Array = np.ndarray
Terms = Callable[[Array], Array]
LARGEST_SHORT_SHARE = 0.01
ALL_DUPLICATES = "every row is equal to another row"
SHORT_WITHOUT_DOCUMENT = "the lists of neighbours are too short once a document is removed"
SHORT_LISTS = f"more than {LARGEST_SHORT_SHARE:.0%} of the rows have too few neighbours in their lists"


@dataclass(frozen=True)
class DimensionLists:
    """Lists of the m rows that are not equal to another row.

    Attributes:
        logs: (m, k) log T_j, ascending; inf where there is no such neighbour.
        codes: (m, k) document of each neighbour; −1 where there is none.
        documents: the documents of the m rows.
        duplicates: number of rows left out.
    """

    logs: Array
    codes: Array
    documents: Documents
    duplicates: int

    @classmethod
    def of(cls, lists: NeighborLists) -> DimensionLists:
        """Remove the rows at distance 0 from another one; the other entries of each list close up."""
        duplicate = lists.distances[:, 0] == 0
        rows = np.flatnonzero(~duplicate)
        logs, codes = np.empty((len(rows), lists.k)), np.empty((len(rows), lists.k), dtype=np.int32)
        left_out = np.append(duplicate, True)  # the last is for −1, no neighbour
        for start, stop in blocks_of_rows(len(rows), lists.k):
            of_block = rows[start:stop]
            ids, distances = lists.ids[of_block], lists.distances[of_block]
            gone = left_out[ids]
            if gone.any():
                order = np.argsort(gone, axis=1, kind="stable")
                ids = np.take_along_axis(np.where(gone, -1, ids), order, axis=1)
                distances = np.take_along_axis(np.where(gone, np.inf, distances), order, axis=1)
            logs[start:stop] = np.log(distances)
            codes[start:stop] = np.where(ids >= 0, lists.documents.codes[ids], -1)
        return cls(logs, codes, lists.documents.take(rows), int(duplicate.sum()))

    def __len__(self) -> int:
        return len(self.logs)

    @property
    def k(self) -> int:
        """Length of the lists."""
        return self.logs.shape[1]

    def long_enough(self, needed: int) -> tuple[DimensionLists | None, str | None]:
        """The rows that have `needed` neighbours; None beside the reason where too many have fewer, or none is left."""
        enough = self.codes[:, needed - 1] >= 0
        if len(self) == 0:
            return None, ALL_DUPLICATES if self.duplicates else NO_NEIGHBORS
        if enough.mean() < 1 - LARGEST_SHORT_SHARE:
            return None, SHORT_LISTS
        if enough.all():
            return self, None
        rows = np.flatnonzero(enough)
        return DimensionLists(self.logs[rows], self.codes[rows], self.documents.take(rows), self.duplicates), None

    def present(self) -> Array:
        """(U,) whether a document has a row here."""
        return self.documents.present(np.ones(len(self), dtype=bool))


def sums_without(lists: DimensionLists, needed: int, terms: Terms) -> Array | None:
    """(U, c) Σ_i terms(log T_1 … log T_needed of row i), over rows and neighbours outside each document.

    None where a list without a document has fewer than `needed` entries left. Exact, not a linearisation.

    Args:
        lists: each with `needed` neighbours.
        terms: function of (r, needed) logarithms to (r, c) terms.
    """
    values = np.concatenate([terms(lists.logs[a:b, :needed]) for a, b in blocks_of_rows(len(lists), needed)])
    changes = np.zeros((lists.documents.count, values.shape[1]))
    for start, stop in blocks_of_rows(len(lists), needed * lists.k):
        rows, removed = _removals(lists, needed, start, stop)
        remaining = _closed_up(lists, needed, rows, removed)
        if remaining is None:
            return None
        change = terms(remaining) - values[rows]
        for column in range(values.shape[1]):
            changes[:, column] += np.bincount(removed, change[:, column], minlength=len(changes))
    own = np.stack([lists.documents.sums(column) for column in values.T], axis=1)
    return values.sum(axis=0) - own + changes


def dimension_estimate(value: float, lists: DimensionLists, replicates: Array | None) -> Estimate:
    """An estimate of the dimension with its document jackknife.

    Args:
        value: not finite where the distances of every list are equal.
        replicates: (U,) for all documents; None where the lists are too short for them.
    """
    if len(lists) < 2:
        return Estimate.missing(TOO_FEW_ROWS)
    if not np.isfinite(value):
        return Estimate.missing(ALL_EQUAL)
    present = lists.present()
    reason = too_small(len(lists), int(present.sum()))
    if reason is not None or replicates is None:
        return Estimate.alone(value, reason or SHORT_WITHOUT_DOCUMENT)
    return jackknife_estimate(value, replicates[present], len(lists))


def _removals(lists: DimensionLists, needed: int, start: int, stop: int) -> tuple[Array, Array]:
    """(p,) rows and documents: each document once that is among the first `needed` of a row and is not the row's."""
    codes = np.sort(lists.codes[start:stop, :needed], axis=1)
    new = codes != lists.documents.codes[start:stop, None]
    new[:, 1:] &= codes[:, 1:] != codes[:, :-1]
    rows, columns = np.nonzero(new)
    return start + rows, codes[rows, columns]


def _closed_up(lists: DimensionLists, needed: int, rows: Array, removed: Array) -> Array | None:
    """(p, needed) logarithms of these rows' lists without these documents; None where one has too few left."""
    codes = lists.codes[rows]
    kept = (codes != removed[:, None]) & (codes >= 0)
    rank = np.cumsum(kept, axis=1, dtype=np.int32)
    if len(rows) and int(rank[:, -1].min()) < needed:
        return None
    return lists.logs[rows][kept & (rank <= needed)].reshape(len(rows), needed)
