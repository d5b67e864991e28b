"""Transformed rows, whose nearest-neighbour distances are compared with those of the rows as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from service.errors import InvalidInput
from service.norms import unit_rows

Array = np.ndarray
RANK_TOLERANCE = 1e-12
KINDS = ("none", "unit_norm", "standardize", "whiten", "without_top:K")


def transform(rows: Array, kind: str) -> Array:
    """(N, n) rows transformed; computed in float64, given in float64 if they are float64, else in float32.

    Args:
        kind: "none"; "unit_norm", x/‖x‖ (a row of zeros stays one); "standardize", each coordinate centred and over its
            standard deviation (a constant coordinate becomes 0); "whiten", the principal coordinates each over
            its standard deviation, (N, rank), of fewer columns where eigenvalues are under 1e-12 of the largest. Of
            N ≤ n rows in general position all whitened distances are equal, √(2 N). "without_top:K", all but the K
            coordinates of largest variance, (N, n − K).

    Raises:
        InvalidInput: an unknown kind, or K not from 1 to n − 1.
    """
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    removed = re.fullmatch(r"without_top:(\d{1,9})", kind)
    if removed:
        return rows[:, _all_but_top(rows, int(removed[1]))].astype(dtype)
    if kind not in _TRANSFORMS:
        raise InvalidInput(f"transform must be one of {', '.join(KINDS)}", field="transform")
    return _TRANSFORMS[kind](rows.astype(np.float64)).astype(dtype)


def _unit_norm(rows: Array) -> Array:
    found = rows.copy()
    some = rows.any(axis=1)
    found[some] = unit_rows(rows[some])
    return found


def _standardize(rows: Array) -> Array:
    centred = _centred(rows)
    deviations = centred.std(axis=0)
    return centred / np.where(deviations > 0, deviations, 1.0)


def _whiten(rows: Array) -> Array:
    """By eigenvectors of the covariance, or of the smaller Gram matrix where there are fewer rows than dimensions."""
    centred = _centred(rows)
    count, n = centred.shape
    wide = count <= n
    values, vectors = np.linalg.eigh((centred @ centred.T if wide else centred.T @ centred) / count)
    kept = values > RANK_TOLERANCE * max(float(values[-1]), 0.0)
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    return vectors * np.sqrt(count) if wide else (centred @ vectors) / np.sqrt(values)


def _all_but_top(rows: Array, removed: int) -> Array:
    """Sorted coordinates without those of largest variance; of equal variances the first is larger."""
    n = rows.shape[1]
    if not 1 <= removed < n:
        raise InvalidInput(f"without_top must be from 1 to {n - 1}, one less than the dimension", field="transform")
    variance = _centred(rows.astype(np.float64)).var(axis=0)
    return np.sort(np.argsort(-variance, kind="stable")[removed:])


def _centred(rows: Array) -> Array:
    """Rows about their mean, over a power of two so that no square leaves a double; a constant coordinate is 0.

    Rounding of the mean would leave a constant coordinate with a deviation above 0: its range says that it is constant.
    """
    varies = rows.min(axis=0) < rows.max(axis=0)
    centred = np.where(varies, rows - rows.mean(axis=0), 0.0)
    return np.ldexp(centred, -int(np.frexp(np.abs(centred).max())[1]))


_TRANSFORMS: dict[str, Callable[[Array], Array]] = {
    "none": lambda rows: rows,
    "unit_norm": _unit_norm,
    "standardize": _standardize,
    "whiten": _whiten,
}
