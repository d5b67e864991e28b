"""The fall of the mean nearest-neighbour distance with the number of rows: E[NN] ∝ n^{−1/m}, m the dimension.

For n rows drawn from a density f on m dimensions E[NN] → Γ(1 + 1/m) (V_m(1) n)^{−1/m} ∫ f^{1−1/m} (Evans, Jones and
Schmidt 2002).
The means come from disjoint subsamples of whole documents: nested ones would be correlated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workers.statistics.documents import Documents
from workers.statistics.estimate import NO_NEIGHBORS, Estimate, jackknife_error, student
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.mean_and_median import Replicates, mean_replicates

Array = np.ndarray
LEAST_SUBSAMPLE_ROWS = 30
LEAST_SUBSAMPLE_DOCUMENTS = 10
LEAST_POINTS = 3
FURTHEST = 100
TOO_FEW_POINTS = f"fewer than {LEAST_POINTS} disjoint subsamples have an error of their mean"
UNBOUNDED = "the interval of 1/m reaches 0"
NO_FALL = "the mean distance does not fall with the number of rows"


@dataclass(frozen=True)
class Subsample:
    """The nearest rows within one subsample, and the documents of its rows (dense among themselves)."""

    nearest: NearestOfTwoDocuments
    documents: Documents


@dataclass(frozen=True)
class Point:
    """Mean distance in a subsample of n rows that have a neighbour."""

    n: int
    mean: Estimate


@dataclass(frozen=True)
class Extrapolation:
    """The law at n rows; `far` where n is more than 100 times the largest subsample. Mean None for the law's reason."""

    n: int
    mean: Estimate
    far: bool


@dataclass(frozen=True)
class ShrinkLaw:
    """The fit log E[NN] = a − (1/m) log n.

    Attributes:
        dimension: m.
        extrapolated: one for each size asked.
    """

    points: tuple[Point, ...]
    dimension: Estimate
    extrapolated: tuple[Extrapolation, ...]


def disjoint_subsamples(documents: Documents, seed: int) -> list[Array]:
    """Sorted row indices of disjoint subsamples of about n/2, n/4, … rows, of whole documents in a seeded order.

    The j-th ends with the document that reaches (1 − 2^−j) n rows. They end before the first one of fewer than 30 rows
    or 10 documents.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(documents.count)
    n = len(documents.codes)
    rows_so_far = np.cumsum(np.bincount(documents.codes, minlength=documents.count)[order])
    subsample = np.full(documents.count, -1)
    found: list[Array] = []
    start = 0
    while True:
        reached = n * (1 - 0.5 ** (len(found) + 1))
        stop = int(np.searchsorted(rows_so_far, reached)) + 1
        subsample[order[start:stop]] = len(found)
        rows = np.flatnonzero(subsample[documents.codes] == len(found))
        if len(rows) < LEAST_SUBSAMPLE_ROWS or stop - start < LEAST_SUBSAMPLE_DOCUMENTS:
            return found
        found.append(rows)
        start = stop


def shrink_law(subsamples: Sequence[Subsample], extrapolate_to: Sequence[int]) -> ShrinkLaw:
    """Weighted least squares of log mean on log n, with errors by a document jackknife of the whole fit.

    A point's weight is (mean/se)², the inverse variance of its logarithm, and is kept in the replicates. A document
    lies in one subsample; without it that point's mean and n change and the line is fitted anew. The subsamples are
    samples of their own sizes, so that the squares are summed about the mean of each subsample's replicates; Student's
    t has as many degrees as documents, less one for each subsample. The intervals hold the sampling error only: not
    that the law may bend beyond the sizes seen. The interval of m is the inverse of that of 1/m, and None beside a
    reason where that one reaches 0.
    """
    replicates = [mean_of(subsample) for subsample in subsamples]
    points = tuple(_point(each) for each in replicates)
    used = [(point, each) for point, each in zip(points, replicates, strict=True) if each and _usable(point, each)]
    if len(used) < LEAST_POINTS:
        missing = Estimate.missing(TOO_FEW_POINTS)
        return ShrinkLaw(points, missing, tuple(Extrapolation(n, missing, False) for n in extrapolate_to))
    fit = _Fit.of(used)
    largest = max(point.n for point, _ in used)
    extrapolated = tuple(Extrapolation(n, fit.mean_at(n), n > FURTHEST * largest) for n in extrapolate_to)
    return ShrinkLaw(points, fit.dimension(), extrapolated)


def mean_of(subsample: Subsample) -> Replicates | None:
    """Mean of a subsample and its replicates; None where no row has a neighbour."""
    nearest = subsample.nearest
    if not np.isfinite(nearest.first).any():
        return None
    return mean_replicates(nearest.first, nearest, nearest.second, subsample.documents)


def _point(replicates: Replicates | None) -> Point:
    if replicates is None:
        return Point(0, Estimate.missing(NO_NEIGHBORS))
    return Point(replicates.rows, replicates.estimate())


def _usable(point: Point, replicates: Replicates) -> bool:
    """Whether the point has an error, and a logarithm also without each document."""
    return bool(point.mean.standard_error) and replicates.values[replicates.present].min() > 0


@dataclass(frozen=True)
class _Fit:
    """The line through J points, and through these points without each of R documents.

    Attributes:
        line: the weighted centre (x̄, ȳ) and the slope, each ().
        replicates: the same, each (R,).
        stratum: (R,) the point that has each document.
    """

    line: tuple[Array, Array, Array]
    replicates: tuple[Array, Array, Array]
    stratum: Array

    @classmethod
    def of(cls, points: Sequence[tuple[Point, Replicates]]) -> _Fit:
        x, y = (np.log([getattr(each, name) for _, each in points]) for name in ("rows", "value"))
        weights = np.array([(each.value / (point.mean.standard_error or 1.0)) ** 2 for point, each in points])
        stratum = np.repeat(np.arange(len(points)), [int(each.present.sum()) for _, each in points])
        without = np.arange(len(stratum)), stratum
        all_x, all_y = (np.tile(values, (len(stratum), 1)) for values in (x, y))
        all_x[without] = np.log(np.concatenate([each.counts[each.present] for _, each in points]))
        all_y[without] = np.log(np.concatenate([each.values[each.present] for _, each in points]))
        return cls(_weighted_line(x, y, weights), _weighted_line(all_x, all_y, weights), stratum)

    def dimension(self) -> Estimate:
        """m = −1/slope; se(m) = m² · se(slope)."""
        inverse = -float(self.line[2])
        if inverse <= 0:
            return Estimate.missing(NO_FALL)
        error = self._error(self.replicates[2])
        low, high = inverse - self._student * error, inverse + self._student * error
        interval, reason = ((1 / high, 1 / low), None) if low > 0 else (None, UNBOUNDED)
        return Estimate(1 / inverse, error / inverse**2, interval, reason)

    def mean_at(self, n: int) -> Estimate:
        """exp(line at log n), with an interval that is symmetric on the logarithmic scale."""
        log_n = math.log(n)
        value = math.exp(_at(self.line, log_n))
        error = self._error(_at(self.replicates, log_n))
        factor = math.exp(self._student * error)
        return Estimate(value, value * error, (value / factor, value * factor))

    @property
    def _student(self) -> float:
        return student(len(self.stratum) - int(self.stratum.max()) - 1)

    def _error(self, replicates: Array) -> float:
        strata = (replicates[self.stratum == j] for j in range(int(self.stratum.max()) + 1))
        return math.hypot(*(jackknife_error(each) for each in strata))


def _weighted_line(x: Array, y: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Weighted centre and slope along the last axis."""
    share = weights / weights.sum()
    centre_x, centre_y = (x * share).sum(axis=-1), (y * share).sum(axis=-1)
    deviations = x - centre_x[..., None]
    slope = (share * deviations * (y - centre_y[..., None])).sum(axis=-1) / (share * deviations**2).sum(axis=-1)
    return centre_x, centre_y, slope


def _at(line: tuple[Array, Array, Array], log_n: float) -> Array:
    centre_x, centre_y, slope = line
    return centre_y + slope * (log_n - centre_x)
