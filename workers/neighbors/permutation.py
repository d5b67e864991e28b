"""The seeded permutation whose prefixes are the nested fractions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def seeded_permutation(n: int, seed: int) -> Array:
    """(n,) int64 permutation of range(n), a function of `n` and `seed` alone (PCG64)."""
    return np.random.Generator(np.random.PCG64(seed)).permutation(n)


def prefix_sizes(n: int, fractions: Sequence[float]) -> list[int]:
    """round(f · n) for each fraction (halves to even), never more than n."""
    return [min(n, round(fraction * n)) for fraction in fractions]
