"""Assumption 3 tested: are the balls of radius r_i = NN_i/2 around measured patterns disjoint?

NN_i is the distance of pattern i to its nearest other one. As ‖ρ_i − ρ_j‖ ≥ max(NN_i, NN_j) ≥ r_i + r_j, open balls are
disjoint wherever the distances are right. Closed balls, which Definition 1 has, touch where both distances are equal:
the closest pair of all always does. Distances that are too large, as an approximate search may return, appear as
overlaps, since a ball then reaches beyond half the way to a row that found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DisjointBalls:
    """Assumption 3 on the found pairs; a pair that both rows found counts once."""

    open_balls: bool | None  # None: no overlap found, but not every pair was searched
    closed_balls: bool | None  # likewise
    overlapping_pairs: int  # r_i + r_j > ‖ρ_i − ρ_j‖
    touching_pairs: int  # r_i + r_j = ‖ρ_i − ρ_j‖ > 0
    coinciding_rows: int  # NN_i = 0: two balls of radius 0 at one place
    overlapping_at_mean_radius: float  # share of rows with NN_i < 2 · mean radius


def disjoint_balls(n: int, distances: Floats, neighbors: Integers, *, complete: bool) -> DisjointBalls:
    """Test r_i + r_j ≤ ‖ρ_i − ρ_j‖, r_i = NN_i/2, for every row and each neighbour found for it.

    Sums and distances that differ by no more than rounding are taken as equal.

    Args:
        n: the dimension, by which rounding grows.
        distances: (m, k) of each row to its neighbours, nearest first; inf where there is none. One must be finite.
        neighbors: (m, k) positions of the neighbours among the m rows; −1 where there is none.
        complete: each row's nearest of all other rows is proved to be the one given.
    """
    nearest = distances[:, 0]
    overlapping: list[Integers] = []
    touching: list[Integers] = []
    for gaps, others in zip(distances.T, neighbors.T, strict=True):  # by column: k copies of m numbers are not needed
        rows = np.flatnonzero(np.isfinite(gaps) & (others >= 0))
        rows = rows[np.isfinite(nearest[others[rows]])]
        gap, other = gaps[rows], others[rows]
        reach, slack = nearest[rows] / 2 + nearest[other] / 2, _rounding(n) * gap
        pairs = np.minimum(rows, other) * len(nearest) + np.maximum(rows, other)
        overlapping.append(pairs[reach > gap + slack])
        touching.append(pairs[(gap > 0) & (np.abs(reach - gap) <= slack)])
    found = nearest[np.isfinite(nearest)]
    overlaps, touches, coinciding = _distinct(overlapping), _distinct(touching), int(np.count_nonzero(found == 0))
    nothing_found = True if complete else None
    return DisjointBalls(
        open_balls=False if overlaps else nothing_found,
        closed_balls=False if overlaps or touches or coinciding else nothing_found,
        overlapping_pairs=overlaps,
        touching_pairs=touches,
        coinciding_rows=coinciding,
        overlapping_at_mean_radius=float(np.mean(found * (1 + _rounding(n)) < found.mean())),
    )


def _rounding(n: int) -> float:
    """Relative error of a distance over n coordinates, or of a mean by pairwise summation, in float64."""
    return (n + 64) * 2.0**-53


def _distinct(pairs: Sequence[Integers]) -> int:
    return len(np.unique(np.concatenate(pairs)))
