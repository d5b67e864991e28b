"""A value with its standard error and its 95 % interval, or with the reason why one of them cannot be given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from workers.statistics.documents import Documents

Array = np.ndarray
Interval = tuple[float, float]
LEAST_ROWS = 30
ONE_DOCUMENT = "all rows are of one document"
TOO_FEW_ROWS = f"fewer than {LEAST_ROWS} rows"
ALL_EQUAL = "all distances are equal"
NO_NEIGHBORS = "no row has a neighbour"
EMPTY_REPLICATE = "without one of the documents there is no value"
DOCUMENTS_AGREE = "all documents agree: the interval is Clopper and Pearson's by documents"
_ROUNDING = 1e-12  # of shares and their sums by document


@dataclass(frozen=True)
class Estimate:
    """An estimate of one number, with its errors.

    Attributes:
        value: None where it cannot be given.
        standard_error: None beside a reason, or where the interval does not come from one (medians).
        interval: 95 %, lower and upper end.
        reason: why one of them is None; also where the interval is of another kind than the standard error's.
    """

    value: float | None
    standard_error: float | None
    interval: Interval | None
    reason: str | None = None

    @classmethod
    def missing(cls, reason: str) -> Estimate:
        """No value, for this reason."""
        return cls(None, None, None, reason)

    @classmethod
    def alone(cls, value: float, reason: str) -> Estimate:
        """A value whose error cannot be given, for this reason."""
        return cls(value, None, None, reason)

    @classmethod
    def of(cls, value: float, standard_error: float, documents: int, *, degrees: int | None = None) -> Estimate:
        """The value ± t · standard error, t the .975 quantile of Student's with U − 1 degrees unless given."""
        half = student(documents - 1 if degrees is None else degrees) * standard_error
        return cls(value, standard_error, (value - half, value + half))


def student(degrees: int) -> float:
    """The .975 quantile of Student's t distribution."""
    return float(stdtrit(degrees, 0.975))


def too_small(rows: int, documents: int) -> str | None:
    """The reason why no error can be given at this size, if there is one."""
    if rows < LEAST_ROWS:
        return TOO_FEW_ROWS
    return ONE_DOCUMENT if documents < 2 else None


def jackknife_error(replicates: Array) -> float:
    """sqrt((U − 1)/U · Σ_u (θ_(u) − θ̄)²) of the (U,) values θ_(u) without document u (Miller 1974, by documents)."""
    return math.sqrt((len(replicates) - 1) / len(replicates)) * root_of_squares(replicates - replicates.mean())


def jackknife_estimate(value: float, replicates: Array, rows: int) -> Estimate:
    """The value of that many rows with its document jackknife.

    Args:
        replicates: (U,) the value without each document; not finite where there is none.
    """
    reason = too_small(rows, len(replicates))
    if reason is None and not np.isfinite(replicates).all():
        reason = EMPTY_REPLICATE
    if reason is not None:
        return Estimate.alone(value, reason)
    return Estimate.of(value, jackknife_error(replicates), len(replicates))


def cluster_error(values: Array, documents: Documents) -> float:
    """sqrt(U/(U−1) · Σ_u (Σ_{i∈u} (v_i − v̄))²) / n: the error of the mean of values independent between documents.

    For (n,) values that do not depend on rows of other documents, such as distances to a database of other documents.
    Documents without a row do not count; at least two have rows.
    """
    count = int(documents.present(np.ones(len(values), dtype=bool)).sum())
    sums = documents.sums(values - values.mean())
    return math.sqrt(count / (count - 1)) * root_of_squares(sums) / len(values)


def cluster_estimate(values: Array, documents: Documents) -> Estimate:
    """The mean of (n,) values with its `cluster_error`; n from 1."""
    mean = float(values.mean())
    count = int(documents.present(np.ones(len(values), dtype=bool)).sum())
    reason = too_small(len(values), count)
    if reason is not None:
        return Estimate.alone(mean, reason)
    return Estimate.of(mean, cluster_error(values, documents), count)


def share_estimate(values: Array, documents: Documents, lowest: float = 0.0) -> Estimate:
    """A share with its `cluster_error`, the interval within [lowest, 1]; `lowest` is −1 for a difference of two shares.

    Where all documents agree on c, that error would be 0. The interval is then Clopper and Pearson's (1934) with a
    document for an observation, as if all rows of a document agreed: at most f = 1 − .025^{1/U} of all documents are
    elsewhere in [lowest, 1], so that it is [c − f·(c − lowest), c + f·(1 − c)].
    """
    found = cluster_estimate(values, documents)
    if found.interval is None or found.value is None or found.standard_error is None:
        return found
    if found.standard_error > _ROUNDING:
        low, high = found.interval
        return Estimate(found.value, found.standard_error, (max(lowest, low), min(1.0, high)))
    furthest = 1 - 0.025 ** (1 / int(documents.present(np.ones(len(values), dtype=bool)).sum()))
    interval = (found.value - furthest * (found.value - lowest), found.value + furthest * (1 - found.value))
    return Estimate(found.value, None, interval, DOCUMENTS_AGREE)


def root_of_squares(values: Array) -> float:
    """√Σ v², of values whose squares may leave the range of a double."""
    largest = float(np.abs(values).max())
    return largest * math.sqrt(float(((values / largest) ** 2).sum())) if largest > 0 else 0.0
