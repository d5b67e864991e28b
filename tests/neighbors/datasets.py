"""Data on which nearest-neighbour searches go wrong, made from a seed.

640 queries of 256 dimensions: for smaller products FAISS subtracts directly and errs less.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray


def _normal(n: int = 640, d: int = 256, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


def gaussian() -> Array:
    return _normal().astype(np.float32)


def offset_1e6() -> Array:
    return _normal() + 1e6


def offset_1e4_float32() -> Array:
    return (_normal() + 1e4).astype(np.float32)


def massive_dimension() -> Array:
    """One dimension at 3000 ± 2 %, as GPT-2's residual stream has."""
    rows = _normal().astype(np.float32)
    rows[:, 3] = 3000 * (1 + 0.02 * np.random.default_rng(1).standard_normal(len(rows)))
    return rows


def near_duplicates() -> Array:
    return (np.repeat(_normal(64), 10, axis=0) + 1e-3 * _normal(640, seed=1)).astype(np.float32)


def exact_duplicates() -> Array:
    return np.repeat(_normal(64), 10, axis=0).astype(np.float32)


def one_dimension() -> Array:
    return _normal(640, 1).astype(np.float32)


def two_rows() -> Array:
    return _normal(2, 8).astype(np.float32)


def tiny_scale() -> Array:
    return 1e-30 * _normal(300, 8)


def huge_scale() -> Array:
    return 1e140 * _normal(300, 8)


def far_outlier() -> Array:
    rows = _normal().astype(np.float32)
    rows[5] *= 1e5
    return rows


def long_rows() -> Array:
    """One row in 32 is 300 times as long, as the first positions of a Transformer's contexts are."""
    rows = _normal().astype(np.float32)
    rows[::32] *= 300
    return rows


def all_equal() -> Array:
    return np.ones((50, 4), dtype=np.float32)


def half_precision() -> Array:
    return _normal(300, 16).astype(np.float16)


HARD: list[Callable[[], Array]] = [
    gaussian, offset_1e6, offset_1e4_float32, massive_dimension, near_duplicates, exact_duplicates, one_dimension,
    two_rows, tiny_scale, huge_scale, far_outlier, long_rows, all_equal, half_precision,
]  # fmt: skip
