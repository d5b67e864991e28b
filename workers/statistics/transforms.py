"""Transformed rows, whose nearest-neighbour distances are compared with those of the rows as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from service.errors import InvalidInput
from service.norms import unit_rows
from workers.statistics.centring import Centre, blocks_of

Array = np.ndarray
Change = Callable[[Array], Array]  # of a block of rows, float64
KINDS = ("none", "unit_norm", "standardize", "whiten", "without_top:K")


def transform(rows: Array, kind: str) -> Array:
    """(N, n) rows, N ≥ 1, transformed in float64; the result is float64 if they are float64, else float32.

    Args:
        kind: "none"; "unit_norm", x/‖x‖ (a row of zeros stays one); "standardize", each coordinate centred and over its
            standard deviation (a constant coordinate becomes 0); "whiten", the principal coordinates each over
            its standard deviation, (N, rank), of fewer columns where eigenvalues are under 1e-12 of the largest. Of
            N ≤ n rows in general position all whitened distances are equal, √(2 N). "without_top:K", all but the K
            coordinates of largest variance, (N, n − K).

    Raises:
        InvalidInput: an unknown kind, or K not from 1 to n − 1.
    """
    removed = re.fullmatch(r"without_top:(\d{1,9})", kind)
    if removed is None and kind not in _TRANSFORMS:
        raise InvalidInput(f"transform must be one of {', '.join(KINDS)}", field="transform")
    change = _without_top(rows, int(removed[1])) if removed else _TRANSFORMS[kind](rows)
    dtype = np.float64 if rows.dtype == np.float64 else np.float32
    return np.concatenate([change(block.astype(np.float64)).astype(dtype) for block in blocks_of(rows)()])


def _unchanged(_: Array) -> Change:
    return lambda block: block


def _unit_norm(_: Array) -> Change:
    def change(block: Array) -> Array:
        some = block.any(axis=1)
        block[some] = unit_rows(block[some])
        return block

    return change


def _standardize(rows: Array) -> Change:
    centre = Centre.of(blocks_of(rows))
    deviations = np.sqrt(centre.variances(blocks_of(rows)))
    divisors = np.where(deviations > 0, deviations, 1.0)
    return lambda block: centre.about(block) / divisors


def _whiten(rows: Array) -> Change:
    """Projections on λ^−½ times the eigenvectors of the covariance, the largest first."""
    centre = Centre.of(blocks_of(rows))
    values, vectors = centre.principal(rows)
    axes = (vectors / np.sqrt(values))[:, ::-1]
    return lambda block: centre.about(block) @ axes


def _without_top(rows: Array, removed: int) -> Change:
    """All but the coordinates of largest variance, in their order; of equal variances the first is removed first."""
    n = rows.shape[1]
    if not 1 <= removed < n:
        raise InvalidInput(f"without_top must be from 1 to {n - 1}, one less than the dimension", field="transform")
    variances = Centre.of(blocks_of(rows)).variances(blocks_of(rows))
    kept = np.sort(np.argsort(-variances, kind="stable")[removed:])
    return lambda block: block[:, kept]


_TRANSFORMS: dict[str, Callable[[Array], Change]] = {
    "none": _unchanged,
    "unit_norm": _unit_norm,
    "standardize": _standardize,
    "whiten": _whiten,
}
