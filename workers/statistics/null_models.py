"""Null models: rows that keep some of a set's structure and nothing else.

A model is fitted to rows and draws as many new ones, row by row in the same documents and after the same tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from workers.statistics.covariance import Covariance

Array = np.ndarray
Generator = np.random.Generator
_BLOCK_ROWS, _BLOCK_COLUMNS = 8192, 32


class NullModel(Protocol):
    """Fitted to (N, d) rows."""

    def draw(self, generator: Generator) -> Array:
        """(N, d) float32 rows."""
        ...

    def refit(self, rows: Array) -> NullModel:
        """The same kind of model of other rows, which come in the same order."""
        ...


@dataclass(frozen=True)
class GaussianRows:
    """y ~ N(μ, Σ̂): keeps mean and covariance."""

    n: int
    covariance: Covariance

    @classmethod
    def of(cls, rows: Array) -> Self:
        return cls(len(rows), Covariance.of(rows))

    def draw(self, generator: Generator) -> Array:
        return _blockwise(self.n, lambda rows: _normal(generator, rows, self.covariance) + self.covariance.mean)

    def refit(self, rows: Array) -> Self:
        return self.of(rows)


@dataclass(frozen=True)
class PermutedCoordinates:
    """Each coordinate permuted over the rows: keeps the distribution of every coordinate, and no dependence."""

    rows: Array

    def draw(self, generator: Generator) -> Array:
        drawn = self.rows.astype(np.float32)
        return generator.permuted(drawn, axis=0, out=drawn)

    def refit(self, rows: Array) -> PermutedCoordinates:
        return PermutedCoordinates(rows)


@dataclass(frozen=True)
class EllipticalRows:
    """y = μ + Σ̂^{1/2} u r, u uniform on the unit sphere, r the rows' radii |Σ̂^{−1/2}(x − μ)| in another order.

    Keeps mean, covariance and how far rows lie out. The radii are scaled to the mean square d, so that the draws have
    the covariance Σ̂: where it is shrunk, small eigenvalues are larger than the rows' own and the radii too short.

    Attributes:
        radii: (N,).
    """

    covariance: Covariance
    radii: Array

    @classmethod
    def of(cls, rows: Array) -> Self:
        return cls.about(Covariance.of(rows), rows)

    @classmethod
    def about(cls, covariance: Covariance, rows: Array) -> Self:
        """Fit the model to rows whose covariance is known."""
        radii = covariance.radii(rows)
        return cls(covariance, radii * np.sqrt(covariance.d / (radii**2).mean()))

    def draw(self, generator: Generator) -> Array:
        radii = generator.permutation(self.radii)

        def block(rows: slice) -> Array:
            directions = generator.standard_normal((rows.stop - rows.start, self.covariance.d), dtype=np.float32)
            lengths = radii[rows] / np.linalg.norm(directions, axis=1)
            return self.covariance.spread(directions * lengths[:, None].astype(np.float32)) + self.covariance.mean

        return _blockwise(len(self.radii), block)

    def refit(self, rows: Array) -> Self:
        return self.of(rows)


@dataclass(frozen=True)
class SameTokenRows:
    """Classes of two rows or more normal about their own mean, with one covariance; other rows as in `GaussianRows`.

    Keeps the information of the last token on a row. The covariance within classes has the divisor N − classes.

    Attributes:
        tokens: (N,) labels.
        classes: (N,) class of each row; −1 for a row whose token no other row has.
        means: (classes, d).
        within: covariance of the rows of classes about their means.
        whole: covariance of all rows; None where every row has a class.
    """

    tokens: Array
    classes: Array
    means: Array
    within: Covariance
    whole: Covariance | None

    @classmethod
    def of(cls, rows: Array, tokens: Array) -> Self:
        """Fit the model to rows of which at least two have a token in common."""
        _, labels, counts = np.unique(tokens, return_inverse=True, return_counts=True)
        numbers = np.cumsum(counts > 1) - 1
        classes = np.where(counts > 1, numbers, -1)[labels]
        inside = np.flatnonzero(classes >= 0)
        means = _class_means(rows, classes, int(numbers[-1]) + 1)
        widened = np.sqrt(len(inside) / max(1, len(inside) - len(means)))
        deviations = rows[inside].astype(np.promote_types(rows.dtype, np.float32), copy=False)
        for at in range(0, len(inside), _BLOCK_ROWS):
            of_block = slice(at, at + _BLOCK_ROWS)
            deviations[of_block] = (deviations[of_block] - means[classes[inside[of_block]]]) * widened
        whole = None if len(inside) == len(rows) else Covariance.of(rows)
        return cls(tokens, classes, means, Covariance.of(deviations), whole)

    @property
    def alone_share(self) -> float:
        """Share of rows whose token no other row has."""
        return float((self.classes < 0).mean())

    def draw(self, generator: Generator) -> Array:
        def block(rows: slice) -> Array:
            classes = self.classes[rows]
            found = _normal(generator, rows, self.within) + self.means[classes]
            alone = np.flatnonzero(classes < 0)
            if self.whole is not None and len(alone):
                found[alone] = _normal(generator, slice(0, len(alone)), self.whole) + self.whole.mean
            return found

        return _blockwise(len(self.classes), block)

    def refit(self, rows: Array) -> Self:
        return self.of(rows, self.tokens)


def _class_means(rows: Array, classes: Array, count: int) -> Array:
    """(count, d) float64 means of the rows of each class from 0 on."""
    order = np.argsort(classes, kind="stable")
    order = order[classes[order] >= 0]
    starts = np.searchsorted(classes[order], np.arange(count))
    sums = np.empty((count, rows.shape[1]))
    for at in range(0, rows.shape[1], _BLOCK_COLUMNS):
        of_block = slice(at, at + _BLOCK_COLUMNS)
        sums[:, of_block] = np.add.reduceat(rows[:, of_block][order].astype(np.float64), starts, axis=0)
    return sums / np.diff([*starts, len(order)])[:, None]


def _normal(generator: Generator, rows: slice, covariance: Covariance) -> Array:
    return covariance.spread(generator.standard_normal((rows.stop - rows.start, covariance.d), dtype=np.float32))


def _blockwise(n: int, block: Callable[[slice], Array]) -> Array:
    """(n, d) float32 rows, block by block: the float64 of a block is all that is held beside them."""
    first = block(slice(0, min(n, _BLOCK_ROWS)))
    found = np.empty((n, first.shape[1]), dtype=np.float32)
    found[: len(first)] = first
    for at in range(_BLOCK_ROWS, n, _BLOCK_ROWS):
        found[at : at + _BLOCK_ROWS] = block(slice(at, min(n, at + _BLOCK_ROWS)))
    return found
