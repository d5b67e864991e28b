"""Balls that provably attract: a certificate for Definition 1, from nearest-neighbour distances alone.

The update is f(x) = Σ_i p_i ρ_i, p = softmax(−‖x − ρ‖²). Let s be the distance of ρ_i to its nearest pattern, x in
the ball of radius r < s/2 about ρ_i. Every other pattern, at s_j ≥ s, has D_j − D_i ≥ s_j (s_j − 2r), so for s > √2

    ‖f(x) − ρ_i‖ ≤ (d − 1) s e^{−s(s − 2r)}    and    ‖∂f/∂x‖ = 2‖Cov_p‖ ≤ 2 (d − 1) s² e^{−s(s − 2r)},

each term falling with s_j. Where the second is below 1 and the first at most r, f is a contraction of the ball into
itself: one fixed point, which attracts the whole ball. The largest such radius is

    r = s/2 − log(2 (d − 1) s²) / 2s,    if that is at least 1/2s.
"""

from __future__ import annotations

import math

import numpy as np

from service.theory.energy import Array

_LARGE = 1e100  # the square of a larger distance, times the patterns, may overflow: its logarithm is taken in two parts


def certified_radii(nn_distances: Array, patterns: int) -> Array:
    """(m,) radius of the ball that provably attracts, 0 where nothing is proved; each below half the distance.

    Args:
        nn_distances: (m,) distance of each pattern to its nearest other one; 0 for duplicates.
        patterns: d, how many there are in all.
    """
    s = np.asarray(nn_distances, dtype=np.float64)
    if patterns < 2:
        return np.full(s.shape, np.inf)
    wide = s > math.sqrt(2)
    safe = np.where(wide, s, 2.0)
    margin = np.log(2 * (patterns - 1) * np.minimum(safe, _LARGE) ** 2) + 2 * np.log(np.maximum(safe / _LARGE, 1))
    radii = safe / 2 - margin / (2 * safe)
    return np.where(wide & (radii >= 1 / (2 * safe)), radii, 0.0)
