"""Documents: the clusters of rows by which every standard error is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Documents:
    """The document u(i) of each of n rows.

    Attributes:
        codes: (n,) int64 in 0 … count − 1.
        count: U, the number of documents; a subset of the rows (`take`) keeps the codes and the count of the whole.
        known: False where the rows came without documents, so that each row is its own.
    """

    codes: Array
    count: int
    known: bool = True

    @classmethod
    def of(cls, codes: Array | None, n: int) -> Documents:
        """Documents of n rows from (n,) labels of any kind; None makes each row its own document."""
        if codes is None:
            return cls(np.arange(n), n, known=False)
        labels, dense = np.unique(codes, return_inverse=True)
        return cls(dense.reshape(n).astype(np.int64), len(labels))

    def take(self, rows: Array) -> Documents:
        """Documents of some of the rows, with the codes of the whole."""
        return Documents(self.codes[rows], self.count, self.known)

    def sums(self, values: Array, at: Array | None = None) -> Array:
        """(U,) float64 sums of the (n,) values by document; of (p,) values at rows `at` where these are given."""
        codes = self.codes if at is None else self.codes[at]
        return np.bincount(codes, values, minlength=self.count)

    def sums_without(self, values: Array, rows: Array, removed: Array, changes: Array) -> Array:
        """(U,) sums of the values over the rows outside each document, as they are when that document is removed.

        Removing a document removes its rows and changes the values of rows whose neighbours lay in it:
        Σ_i v_i − Σ_{i∈u} v_i + Σ_{j: removed_j = u, rows_j ∉ u} changes_j.

        Args:
            values: (n,) with all documents present.
            rows, removed, changes: (p,) the value of row `rows[j]` changes by `changes[j]` without `removed[j]`.
        """
        outside = self.codes[rows] != removed
        changed = np.bincount(removed[outside], changes[outside], minlength=self.count)
        return values.sum() - self.sums(values) + changed

    def present(self, rows: Array) -> Array:
        """(U,) whether a document has one of the rows that the (n,) boolean mask `rows` selects."""
        return np.bincount(self.codes[rows], minlength=self.count) > 0
