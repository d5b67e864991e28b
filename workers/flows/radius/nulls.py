"""The null models of a radius report, fitted to the rows of its largest fraction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from service.contracts.statistics import NullKind
from workers.neighbors.options import SearchOptions
from workers.statistics.covariance import MOST_DIMENSIONS, Covariance
from workers.statistics.documents import Documents
from workers.statistics.estimate import LEAST_ROWS, TOO_FEW_ROWS
from workers.statistics.intrinsic_dimension import IntrinsicDimension, intrinsic_dimension
from workers.statistics.lists import NeighborLists
from workers.statistics.null_distances import NullDistances, NullDraws, NullRows, lists_of_draw, null_distances
from workers.statistics.null_models import EllipticalRows, GaussianRows, NullModel, PermutedCoordinates, SameTokenRows

Array = np.ndarray
Beat = Callable[[], None]
EQUAL_ROWS = "all rows are equal"
NO_TOKENS = "the rows have no last token"
NO_CLASS = "no two rows have the same last token"
_SMALL, _LARGE = 1e-15, 1e15  # between them float32 holds all squares of draws
NULL_KINDS: tuple[NullKind, ...] = ("gaussian", "permutation", "elliptical", "same_last_token")


@dataclass(frozen=True)
class FittedRows:
    """The rows to which null models are fitted, and how they are searched.

    Attributes:
        rows: (n, d), over `unit`.
        unit: 1, or a power of two near the largest element where float32 does not hold the squares of draws.
        codes: (n,) rows of equal code are not compared; None: only a row with itself.
        tokens: (n,) last token of each row; None where there is none.
        documents: the documents of the rows.
    """

    rows: Array
    unit: float
    codes: Array | None
    tokens: Array | None
    documents: Documents

    @cached_property
    def covariance(self) -> Covariance:
        """The covariance of the rows, which several models use."""
        return Covariance.of(self.rows)

    @classmethod
    def of(
        cls, rows: Array, codes: Array | None, tokens: Array | None, documents: Documents, unit: float | None = None
    ) -> FittedRows:
        """Describe rows of any floating type and scale, in `unit` where one is given."""
        largest = float(np.abs(rows).max(initial=0.0))
        if unit is None:
            unit = 1.0 if largest == 0 or _SMALL < largest < _LARGE else 2.0 ** math.frexp(largest)[1]
        return cls(rows if unit == 1.0 else rows.astype(np.float64) / unit, unit, codes, tokens, documents)


@dataclass(frozen=True)
class MeasuredNull:
    """One null model: its model and its distances (over `unit`), or the reason why there are none."""

    kind: NullKind
    unit: float
    model: NullModel | None = None
    found: NullDistances | None = None
    reason: str | None = None


def measure_nulls(
    fitted: FittedRows,
    asked: FittedRows | None,
    draws: int,
    queries: int,
    seed: int,
    options: SearchOptions,
    beat: Beat,
) -> Iterator[MeasuredNull]:
    """The distances of each null model, one model after another.

    Args:
        asked: the queries, where they are of another set: its models are fitted to it.
    """
    for stream, kind in enumerate(NULL_KINDS):
        beat()
        reason = _why_none(kind, fitted) or (None if asked is None else _why_none(kind, asked))
        if reason is not None:
            yield MeasuredNull(kind, fitted.unit, reason=reason)
            continue
        model = _fit(kind, fitted)
        theirs = None if asked is None else NullRows(_fit(kind, asked), asked.codes)
        how = NullDraws(draws, queries, seed, stream)
        found = null_distances(NullRows(model, fitted.codes), theirs, how, options, tick=lambda share: beat())
        enough = bool(len(found.distances)) and min(found.means.min(), found.refitted.min()) > 0
        yield MeasuredNull(kind, fitted.unit, model, found if enough else None, None if enough else EQUAL_ROWS)


def null_dimension(fitted: FittedRows, k: int, seed: int, options: SearchOptions) -> IntrinsicDimension | None:
    """The dimension of one draw of the Gaussian null, by lists of k neighbours; None where there is no such null."""
    if _why_none("gaussian", fitted) is not None:
        return None
    generator = NullDraws(1, len(fitted.rows), seed, len(NULL_KINDS)).generator(0, again=False)
    found = lists_of_draw(_fit("gaussian", fitted), fitted.codes, k, generator, options)
    return intrinsic_dimension(NeighborLists.of_answer(found.rows, found.distances, found.ids, fitted.documents))


def _fit(kind: NullKind, fitted: FittedRows) -> NullModel:
    if kind == "gaussian":
        return GaussianRows(len(fitted.rows), fitted.covariance)
    if kind == "permutation":
        return PermutedCoordinates(fitted.rows)
    if kind == "elliptical":
        return EllipticalRows.about(fitted.covariance, fitted.rows)
    assert fitted.tokens is not None
    return SameTokenRows.of(fitted.rows, fitted.tokens)


def _why_none(kind: NullKind, fitted: FittedRows) -> str | None:
    """The reason why a null model cannot be fitted."""
    rows, tokens = fitted.rows, fitted.tokens
    if len(rows) < LEAST_ROWS:
        return TOO_FEW_ROWS
    if (rows == rows[0]).all():
        return EQUAL_ROWS
    if kind != "permutation" and min(rows.shape) > MOST_DIMENSIONS:
        return f"more than {MOST_DIMENSIONS:,} dimensions"
    if kind != "same_last_token":
        return None
    if tokens is None:
        return NO_TOKENS
    return NO_CLASS if len(np.unique(tokens)) == len(rows) else None
