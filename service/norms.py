"""Norms of rows whose squares may leave the range of a double."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SHORTEST_SQUARED, LONGEST_SQUARED = 1e-150, 1e150  # lengths whose squares are still far from the ends of a double
_SHORT, _LONG = 1e-140, 1e140  # between them no square of an element that counts is lost
SMALLEST_NORMAL = float(np.finfo(np.float64).smallest_normal)  # below it a double has fewer digits


def row_norms(rows: Array) -> Array:
    """(m,) ‖x‖ of (m, n) rows; those whose squares may under- or overflow are scaled first (`scaled_norms`)."""
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(rows, axis=1)
    doubtful = ~((norms > _SHORT) & (norms < _LONG))
    if doubtful.any():
        norms[doubtful] = scaled_norms(rows[doubtful])
    return norms


def unit_rows(rows: Array) -> Array:
    """(m, n) rows over their norms; nan for a row of zeros."""
    scaled = _scaled(rows)[0]
    with np.errstate(invalid="ignore"):
        return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def scaled_norms(rows: Array) -> Array:
    """(m,) ‖x‖ of (m, n) rows, each over a power of two near its largest element before it is squared.

    Right to rounding wherever the norm itself is a normal double; inf where it overflows.
    """
    scaled, exponents = _scaled(rows)
    with np.errstate(over="ignore"):
        return np.ldexp(np.linalg.norm(scaled, axis=1), exponents)


def _scaled(rows: Array) -> tuple[Array, NDArray[np.int32]]:
    """Rows whose largest element is from ½ to 1, and the (m,) exponents of the powers of two that they were over."""
    _, exponents = np.frexp(np.abs(rows).max(axis=1))
    return np.ldexp(rows, -exponents[:, None]), exponents
