"""Lists of nearest neighbours, and what a document jackknife needs of them: the nearest rows of two documents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workers.statistics.documents import Documents

Array = np.ndarray
_BLOCK = 1 << 22  # entries of lists in one block of rows


@dataclass(frozen=True)
class NeighborLists:
    """The k nearest other rows of each of n rows, and the documents of these rows.

    Attributes:
        distances: (n, k) float64, ascending; inf where there is no such neighbour.
        ids: (n, k) int64 positions 0 … n − 1 of the neighbours among the same n rows; −1 where there is none.
        documents: the documents of the n rows.
    """

    distances: Array
    ids: Array
    documents: Documents

    @classmethod
    def of_answer(cls, rows: Array, distances: Array, ids: Array, documents: Documents) -> NeighborLists:
        """Lists from the answer of a search of the rows `rows` of a set among themselves.

        Args:
            rows: (n,) distinct ids of the rows, in the order of `distances`, `ids` and `documents`.
            ids: (n, k) ids of the neighbours in the set; −1 where there is none.
        """
        positions = np.full(int(rows.max(initial=-1)) + 2, -1, dtype=np.int64)  # the last is for −1
        positions[rows] = np.arange(len(rows))
        return cls(distances, positions[ids], documents)

    def __len__(self) -> int:
        return len(self.distances)

    @property
    def k(self) -> int:
        """Length of the lists."""
        return self.distances.shape[1]

    def codes(self, start: int, stop: int) -> Array:
        """(stop − start, k) document of each neighbour of these rows; −1 where there is none."""
        ids = self.ids[start:stop]
        return np.where(ids >= 0, self.documents.codes[ids], -1)


@dataclass(frozen=True)
class NearestOfTwoDocuments:
    """The nearest row of each of n rows, and its nearest row of another document than that one's.

    Without document u the nearest row of row i is at `first[i]` if `document[i]` ≠ u, and at `second[i]` if it is u.

    Attributes:
        first: (n,) distance to the nearest row; inf where there is none.
        document: (n,) document of that row; −1 where there is none.
        second: (n,) distance to the nearest row of another document than `document`; inf where there is none.
    """

    first: Array
    document: Array
    second: Array

    @classmethod
    def from_lists(cls, lists: NeighborLists) -> tuple[NearestOfTwoDocuments, Array]:
        """The distances in the lists, and the (s,) positions of the rows whose lists are too short.

        A row whose k neighbours all are of one document has `second` = inf until another exact search, among rows of
        other documents than that one, has found it (`with_second`). A list that ends early has all rows there are.
        """
        n = len(lists)
        document, second = np.empty(n, dtype=np.int64), np.empty(n)
        short = np.zeros(n, dtype=bool)
        for start, stop in blocks_of_rows(n, lists.k):
            codes = lists.codes(start, stop)
            other = (codes != codes[:, :1]) & (codes >= 0)
            at, found = other.argmax(axis=1), other.any(axis=1)
            distances = np.take_along_axis(lists.distances[start:stop], at[:, None], axis=1)[:, 0]
            document[start:stop] = codes[:, 0]
            second[start:stop] = np.where(found, distances, np.inf)
            short[start:stop] = ~found & (codes[:, -1] >= 0)
        return cls(lists.distances[:, 0], document, second), np.flatnonzero(short)

    def with_second(self, rows: Array, distances: Array) -> NearestOfTwoDocuments:
        """The same with `second` of these (s,) rows replaced."""
        second = self.second.copy()
        second[rows] = distances
        return replace(self, second=second)

    def take(self, rows: Array) -> NearestOfTwoDocuments:
        """The same of some of the rows."""
        return NearestOfTwoDocuments(self.first[rows], self.document[rows], self.second[rows])


def blocks_of_rows(n: int, width: int) -> list[tuple[int, int]]:
    """Consecutive blocks of n rows, so that a temporary of `width` entries a row stays below some 4 million entries."""
    step = max(1, _BLOCK // max(1, width))
    return [(start, min(n, start + step)) for start in range(0, n, step)]
