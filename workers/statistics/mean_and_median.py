"""Uncertainty of the mean and of quantiles of nearest-neighbour distances, by document jackknife.

The rows of document u are removed both as rows whose distance is measured and as neighbours of other rows: θ_(u) is the
mean over rows outside u of the distance to the nearest row outside u. The errors are thereby those of drawing documents
and rows anew. Rows taken as independent understate them, and a bootstrap of rows is inconsistent: it draws rows twice,
and these are at distance 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from workers.statistics.documents import Documents
from workers.statistics.estimate import (
    ALL_EQUAL,
    NO_NEIGHBORS,
    Estimate,
    Interval,
    cluster_estimate,
    jackknife_estimate,
    root_of_squares,
    student,
)
from workers.statistics.lists import NearestOfTwoDocuments

Array = np.ndarray
MEAN_METHOD: Final = "document_jackknife"
MEDIAN_METHOD: Final = "document_jackknife_order"


@dataclass(frozen=True)
class Uncertainty:
    """Errors of the mean and the median of nearest-neighbour distances; rows without a neighbour are left out.

    Attributes:
        median: has an interval and no standard error.
        row_standard_error: s/√n as of independent rows, for comparison; None for fewer than two rows.
        rows: number of rows that have a neighbour.
        documents: number of their documents.
    """

    mean: Estimate
    median: Estimate
    row_standard_error: float | None
    rows: int
    documents: int


@dataclass(frozen=True)
class MedianDifference:
    """The difference of the medians of two nested sets.

    Attributes:
        value: median of the first minus that of the second; None where one has no distance.
        pooled: median of the distances of both together.
        shares: share of the first's rows at most that far, minus that of the second's; from −1 to 1.
    """

    value: float | None
    pooled: float | None
    shares: Estimate


@dataclass(frozen=True)
class Replicates:
    """A mean over rows, and the same without each document.

    Attributes:
        values: (U,) NaN for a document without which no row is left.
        counts: (U,) number of rows that count without each document.
        present: (U,) whether the document has a row that counts.
        rows: number of rows that count.
    """

    value: float
    values: Array
    counts: Array
    present: Array
    rows: int

    def estimate(self) -> Estimate:
        """The mean with its jackknife over the documents that are present."""
        return jackknife_estimate(self.value, self.values[self.present], self.rows)


def nn_uncertainty(nearest: NearestOfTwoDocuments, documents: Documents) -> Uncertainty:
    """Uncertainty of the mean and the median of `nearest.first`, O(n)."""
    found = nearest.first[np.isfinite(nearest.first)]
    count = int(documents.present(np.isfinite(nearest.first)).sum())
    mean, median = mean_estimate(nearest, documents), quantile_estimate(nearest, documents, 0.5)
    return Uncertainty(mean, median, row_error(found), len(found), count)


def mean_estimate(nearest: NearestOfTwoDocuments, documents: Documents) -> Estimate:
    """Mean nearest-neighbour distance with the document jackknife's error."""
    reason = _reason(nearest.first[np.isfinite(nearest.first)])
    if reason == NO_NEIGHBORS:
        return Estimate.missing(reason)
    found = mean_replicates(nearest.first, nearest, nearest.second, documents).estimate()
    return Estimate.alone(found.value or 0.0, reason) if reason else found


def quantile_estimate(nearest: NearestOfTwoDocuments, documents: Documents, p: float) -> Estimate:
    """Quantile Q(p) (interpolated linearly) and its 95 % interval by order statistics (Woodruff 1952).

    The document jackknife gives the error se of the share of rows at Q(p) or nearer; the interval is
    [Q(p − t·se), Q(p + t·se)], its ends the distances of rows (the next one outwards), its shares clipped to [0, 1].
    """
    found = nearest.first[np.isfinite(nearest.first)]
    if len(found) == 0:
        return Estimate.missing(NO_NEIGHBORS)
    value = float(np.quantile(found, p))
    shares = mean_replicates(_at_most(nearest.first, value), nearest, _at_most(nearest.second, value), documents)
    return _by_order(found, value, p, shares.estimate(), int(shares.present.sum()))


def paired_difference(
    a: NearestOfTwoDocuments, rows_a: Array, b: NearestOfTwoDocuments, rows_b: Array, documents: Documents
) -> Estimate:
    """Mean of a minus mean of b, of two nested sets of rows, both computed without document u for the jackknife.

    Args:
        a, b: nearest rows of `rows_a` and of `rows_b` among themselves; `document` in the codes of `documents`.
        rows_a, rows_b: positions of these rows among all rows of `documents`; one contains the other.
    """
    reason = _reason(a.first[np.isfinite(a.first)]) or _reason(b.first[np.isfinite(b.first)])
    if reason == NO_NEIGHBORS:
        return Estimate.missing(reason)
    one, two = (
        mean_replicates(nearest.first, nearest, nearest.second, documents.take(rows))
        for nearest, rows in ((a, rows_a), (b, rows_b))
    )
    return _difference(one, two)


def median_difference(
    a: NearestOfTwoDocuments, rows_a: Array, b: NearestOfTwoDocuments, rows_b: Array, documents: Documents
) -> MedianDifference:
    """The difference of the medians of two nested sets, by the shares of their rows up to the median of both together.

    The share is a mean over rows, so that the document jackknife holds for it; a median is not smooth, and its
    replicates do not give its error. A positive difference of shares is a smaller median of a.

    Args:
        a, b, rows_a, rows_b, documents: as of `paired_difference`.
    """
    of_a, of_b = (nearest.first[np.isfinite(nearest.first)] for nearest in (a, b))
    if len(of_a) == 0 or len(of_b) == 0:
        return MedianDifference(None, None, Estimate.missing(NO_NEIGHBORS))
    value = float(np.median(of_a) - np.median(of_b))
    both = np.concatenate([of_a, of_b])
    pooled = float(np.median(both))
    if both.min() == both.max():
        return MedianDifference(value, pooled, Estimate.alone(0.0, ALL_EQUAL))
    one, two = (
        mean_replicates(
            _at_most(nearest.first, pooled), nearest, _at_most(nearest.second, pooled), documents.take(rows)
        )
        for nearest, rows in ((a, rows_a), (b, rows_b))
    )
    found = _difference(one, two)
    if found.interval is None:
        return MedianDifference(value, pooled, found)
    low, high = found.interval
    return MedianDifference(value, pooled, replace(found, interval=(max(-1.0, low), min(1.0, high))))


def uncertainty_of_queries(distances: Array, documents: Documents) -> Uncertainty:
    """Uncertainty of (q,) distances of queries to a database, given the database; inf marks a query without neighbour.

    The distances are then independent between documents: the errors are those of `cluster_error`.
    """
    rows = np.flatnonzero(np.isfinite(distances))
    if len(rows) == 0:
        missing = Estimate.missing(NO_NEIGHBORS)
        return Uncertainty(missing, missing, None, 0, 0)
    found, of_rows = distances[rows], documents.take(rows)
    count = int(of_rows.present(np.ones(len(rows), dtype=bool)).sum())
    median = float(np.median(found))
    share = cluster_estimate(_at_most(found, median), of_rows)
    return Uncertainty(
        cluster_estimate(found, of_rows),
        _by_order(found, median, 0.5, share, count),
        row_error(found),
        len(rows),
        count,
    )


def mean_replicates(values: Array, nearest: NearestOfTwoDocuments, changed: Array, documents: Documents) -> Replicates:
    """Mean of a value of the nearest-neighbour distance, over rows that have one, and the same without each document.

    Args:
        values: (n,) the value at the distance `nearest.first`; ignored where this is infinite.
        changed: (n,) the value at `nearest.second`; where this is infinite the row is left out without `document`.
    """
    has_first, has_second = np.isfinite(nearest.first), np.isfinite(nearest.second)
    mean = float(values[has_first].mean())
    # Sums of deviations from the mean keep the digits by which the replicates differ.
    terms = np.where(has_first, values - mean, 0.0) if not has_first.all() else values - mean
    then = np.where(has_second, changed - mean, 0.0) if not has_second.all() else changed - mean
    rows = np.flatnonzero(has_first)
    removed = nearest.document[rows]
    sums = documents.sums_without(terms, rows, removed, then[rows] - terms[rows])
    lost = has_second[rows].astype(np.float64) - 1.0
    counts = documents.sums_without(has_first.astype(np.float64), rows, removed, lost)
    replicates = mean + np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return Replicates(mean, replicates, counts, documents.present(has_first), len(rows))


def row_error(found: Array) -> float | None:
    """s/√n; None for fewer than two rows."""
    n = len(found)
    return root_of_squares(found - found.mean()) / math.sqrt(n * (n - 1)) if n > 1 else None


def _difference(one: Replicates, two: Replicates) -> Estimate:
    """The difference of two means over nested rows, with the jackknife over the documents of either."""
    either = one.present | two.present
    return jackknife_estimate(one.value - two.value, (one.values - two.values)[either], min(one.rows, two.rows))


def _by_order(found: Array, value: float, p: float, share: Estimate, documents: int) -> Estimate:
    """A quantile's interval by order statistics, from the share of rows at most that far with its error."""
    reason = _reason(found) or share.reason
    if reason or share.standard_error is None:
        return Estimate.alone(value, reason or ALL_EQUAL)
    half = student(documents - 1) * share.standard_error
    return Estimate(value, None, _order_statistics(found, p - half, p + half))


def _at_most(distances: Array, bound: float) -> Array:
    return (distances <= bound).astype(np.float64)


def _order_statistics(values: Array, low: float, high: float) -> Interval:
    low, high = max(0.0, low), min(1.0, high)
    return float(np.quantile(values, low, method="lower")), float(np.quantile(values, high, method="higher"))


def _reason(found: Array) -> str | None:
    if len(found) == 0:
        return NO_NEIGHBORS
    return ALL_EQUAL if found.min() == found.max() else None
