"""Retrieval: one step, the fixed point it leads to, and the distinct end points of several starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.theory.energy import Array, Kind, softmax_weights


@dataclass(frozen=True)
class Retrieved:
    """The ends of the iteration from q starting points.

    Attributes:
        points: (q, n).
        steps: (q,) taken until a step moved less than the tolerance.
        converged: (q,) False where the steps ran out.
    """

    points: Array
    steps: NDArray[np.int64]
    converged: NDArray[np.bool_]


def retrieval_step(patterns: Array, queries: Array, beta: float = 1.0, kind: Kind = "energy") -> Array:
    """(q, n) x ← Σ_i p_i ρ_i, where the gradient at fixed weights vanishes.

    p = softmax(−β ‖x − ρ‖²) for E (mean shift), p = softmax(β ρᵀx) for E_MCHN (attention). Both are steps of the
    concave-convex procedure: the energy never increases.
    """
    return softmax_weights(patterns, queries, beta, kind) @ patterns


def retrieve(
    patterns: Array,
    queries: Array,
    beta: float = 1.0,
    kind: Kind = "energy",
    *,
    tolerance: float = 1e-12,
    max_steps: int = 10_000,
) -> Retrieved:
    """Iterate `retrieval_step` until it moves a point by less than `tolerance` times the patterns' extent."""
    points, steps = queries.astype(np.float64), np.zeros(len(queries), dtype=np.int64)
    moving = np.ones(len(queries), dtype=np.bool_)
    still = tolerance * max(float(np.abs(patterns).max()), np.finfo(np.float64).tiny)
    for _ in range(max_steps):
        if not moving.any():
            break
        moved = retrieval_step(patterns, points[moving], beta, kind)
        far = np.abs(moved - points[moving]).max(axis=1) > still
        points[moving] = moved
        steps[moving] += 1
        moving[moving] = far
    return Retrieved(points, steps, ~moving)


def attractors(ends: Array, *, apart: float) -> Array:
    """(m, n) distinct end points in order of their first coordinate, those closer than `apart` counted once."""
    found: list[Array] = []
    for point in ends[np.lexsort(ends.T[::-1])]:
        if all(np.linalg.norm(point - other) > apart for other in found):
            found.append(point)
    return np.array(found).reshape(-1, ends.shape[1])
