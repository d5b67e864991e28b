"""True distances of given pairs, in float64 by direct subtraction of the stored rows."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
_BLOCK_BYTES = 32 * 2**20


def pair_distances(queries: Array, patterns: Array, query_ids: Array, pattern_ids: Array) -> Array:
    """‖queries[a] − patterns[b]‖ for each pair (a, b); (pairs,) float64, in blocks of bounded memory."""
    distances = np.empty(len(query_ids))
    step = max(1, _BLOCK_BYTES // (8 * queries.shape[1]))
    for start in range(0, len(query_ids), step):
        part = slice(start, start + step)
        gap = queries[query_ids[part]].astype(np.float64) - patterns[pattern_ids[part]]
        distances[part] = np.sqrt((gap**2).sum(axis=1))
    return distances
