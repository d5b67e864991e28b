"""Retrieval among many patterns: fixed points, and the test whether a ball returns to its pattern (Definition 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.norms import row_norms, unit_rows
from service.theory.energy import Kind
from workers.energy.patterns import Patterns
from workers.energy.weights import softmax_weights
from workers.neighbors.ticking import Tick

Array = np.ndarray
_MAX_STEPS = 200
_STILL = {torch.float32: 1e-6, torch.float64: 1e-10}
_RETURNED = 1e-3
_INSIDE = 1 - 1e-3
DIRECTIONS = ("random", "towards_nearest")


@dataclass(frozen=True)
class Ends:
    """The ends of the iterations of m points: (m, n) float64 points, and whether each converged."""

    points: Array
    converged: Array


@dataclass(frozen=True)
class Basins:
    """The test of Definition 1 on some patterns.

    Attributes:
        patterns: number of patterns tested.
        stored: share whose own fixed point lies inside the ball of half the nearest-neighbour distance.
        fractions: distances of the starting points, as fractions of that half distance.
        returned: per direction, per fraction: share of starting points that ended at the pattern's fixed point, which
            must lie in the ball.
    """

    patterns: int
    stored: float
    fractions: list[float]
    returned: dict[str, list[float]]


def retrieve(
    patterns: Patterns,
    starts: Array,
    beta: float = 1.0,
    kind: Kind = "energy",
    *,
    tick: Tick = lambda share: None,
) -> Ends:
    """Iterate x ← Σ p_i ρ_i from (m, n) starting points until each moves no more than rounding.

    Args:
        tick: called before each step with the share of points that have converged.
    """
    points = patterns.place(starts)
    moving = torch.ones(len(points), dtype=torch.bool)
    for _ in range(_MAX_STEPS):
        at = torch.nonzero(moving)[:, 0]
        if not len(at):
            break
        tick(1 - len(at) / len(points))
        moved = softmax_weights(patterns, points[at], beta, kind).mean().cpu()
        far = torch.linalg.vector_norm(moved - points[at], dim=1) > _STILL[patterns.precision]
        points[at] = moved
        moving[at] = far
    return Ends((points / patterns.scale + patterns.rows.centre.double()).numpy(), ~moving.numpy())


def basin_test(
    patterns: Patterns,
    rows: Array,
    nearest: Array,
    distances: Array,
    fractions: Sequence[float] = (0.25, 0.5, 0.75, 0.9, 0.99),
    *,
    beta: float = 1.0,
    seed: int = 0,
    tick: Tick = lambda share: None,
) -> Basins:
    """Start at fractions of half the nearest-neighbour distance from some patterns; count the returns.

    Args:
        rows: (m,) ids of the patterns to test.
        nearest, distances: (m,) id of the nearest other pattern of each, and its distance (above 0).
        fractions: of half that distance: each is tried in a random direction and towards the nearest pattern.
        tick: as for `retrieve`.
    """
    own, other = (_taken(patterns, ids) for ids in (rows, nearest))
    half = distances / 2
    random = np.random.default_rng(seed).standard_normal(own.shape)
    along = {"random": random, "towards_nearest": other - own}
    units = {name: unit_rows(along[name]) for name in DIRECTIONS}
    tried = [own + (fraction * half)[:, None] * units[name] for name in DIRECTIONS for fraction in fractions]
    ends = retrieve(patterns, np.concatenate([own, *tried]), beta, tick=tick).points  # all in each pass over the rows
    fixed, *ended = ends.reshape(-1, *own.shape)
    stored = row_norms(fixed - own) < _INSIDE * half  # two merged patterns meet at the very edge
    back = [float((stored & (row_norms(end - fixed) <= _RETURNED * distances)).mean()) for end in ended]
    returned = {name: back[at * len(fractions) :][: len(fractions)] for at, name in enumerate(DIRECTIONS)}
    return Basins(len(rows), float(stored.mean()), list(fractions), returned)


def _taken(patterns: Patterns, ids: Array) -> Array:
    wanted: Tensor = torch.from_numpy(np.asarray(ids, dtype=np.int64))
    return patterns.stored.take(wanted).double().numpy()
