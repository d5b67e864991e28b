"""The definition of the answer, in float64 by direct subtraction. Never to be optimised."""

from __future__ import annotations

import numpy as np

from service.errors import InvalidInput

Array = np.ndarray


def nearest_reference(rows: Array, k: int = 1, documents: Array | None = None) -> tuple[Array, Array]:
    """The k nearest *other* rows of each row.

    g(x) = min_i ‖x − ρ_i‖², eq. (3), over the rows ρ_i that are not x itself (by id), nor, where `documents` is
    given, of x's document.

    Args:
        rows: (n, d) vectors.
        documents: (n,) codes, or None.

    Returns:
        `(distances, ids)`, (n, k) float64 and int64, nearest first, ties by the smaller id; inf and −1 where there
        are fewer than k.

    Raises:
        InvalidInput: two rows differ by more than a double holds.
    """
    rows = np.asarray(rows, dtype=np.float64)
    n = len(rows)
    distances, ids = np.full((n, k), np.inf), np.full((n, k), -1, dtype=np.int64)
    for i in range(n):
        with np.errstate(over="ignore"):
            gaps = _norms(rows - rows[i])
        if not np.isfinite(gaps).all():
            raise InvalidInput(f"the distance of row {i} to row {np.argmin(np.isfinite(gaps))} overflows a double")
        gaps[i] = np.inf
        if documents is not None:
            gaps[documents == documents[i]] = np.inf
        order = np.argsort(gaps, kind="stable")[:k]
        order = order[np.isfinite(gaps[order])]
        distances[i, : len(order)], ids[i, : len(order)] = gaps[order], order
    return distances, ids


def _norms(rows: Array) -> Array:
    """(m,) ‖x‖, each row over the power of two above its largest element: squares neither overflow nor underflow."""
    exponents = np.frexp(np.abs(rows).max(axis=1))[1]
    half = exponents // 2  # twice, because a double may not hold the power itself
    scaled = rows * np.ldexp(1.0, -half)[:, None] * np.ldexp(1.0, half - exponents)[:, None]
    return np.ldexp(np.sqrt((scaled**2).sum(axis=1)), exponents)
