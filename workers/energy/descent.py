"""Does a block do a nearest-neighbour search? Eq. (6), measured.

Block t moves x_{t−1} to x_t. If it minimises g_t, the squared distance to the nearest of its stored patterns, then
g_t(x_t) < g_t(x_{t−1}). The stored patterns are activations after block t of documents that no query comes from.
The move is compared with null models of its step (null_steps.py), and with the moves of all other blocks among the
same patterns. All share the centred patterns and the energies at x_0 … x_l, each of which ends a block and begins one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from service.norms import row_norms, unit_rows
from workers.energy.evaluation import evaluate
from workers.energy.null_steps import NULLS, NullKind, null_steps
from workers.energy.patterns import Patterns
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick, part_of

Array = np.ndarray


@dataclass(frozen=True)
class Place:
    """The energies of queries at one place, among the patterns of one layer.

    Attributes:
        g, energy: (q,) g_t and E_t (β = 1).
        nearest: (q,) ids of the nearest pattern.
    """

    g: Array
    energy: Array
    nearest: Array


@dataclass(frozen=True)
class Move:
    """A move of queries, by its two ends.

    Attributes:
        before, after: the energies at both ends, among the patterns of the same layer.
        cosine: (q,) between the step and the direction from its beginning to the nearest pattern; nan where one is 0.
    """

    before: Place
    after: Place
    cosine: Array


@dataclass(frozen=True)
class BlockDescent:
    """The measurements of block t among the patterns of layer t.

    Attributes:
        step_sq: (q,) δ_t = ‖x_t − x_{t−1}‖².
        block: its move.
        nulls: the moves from x_{t−1} of the null models; None where there is none.
        reachable: (q,) g_t after the best step of that length, (√g_t(x_{t−1}) − √δ_t)₊².
        places: the energies at x_0 … x_l.
    """

    step_sq: Array
    block: Move
    nulls: dict[NullKind, Move | None]
    reachable: Array
    places: list[Place]


def measure_block(
    points: Callable[[int], Array],
    blocks: int,
    block: int,
    patterns: Patterns,
    others: Array | None,
    *,
    seed: int,
    tick: Tick = lambda share: None,
) -> BlockDescent:
    """Measure one block beside its null models, and every block among its patterns: `blocks` + 4 evaluations.

    Args:
        points: (q, n) float64 queries x_s, by s from 0 to `blocks`; called for each, so that few are held at a time.
        block: t, from 1.
        patterns: stored patterns of layer t.
        others: (q,) the row whose step each row takes in the null permuted_step, as `other_rows`.
    """
    parts = blocks + 1 + len(NULLS)
    places = [_place(patterns, points(at), partial(part_of, tick, at, parts)) for at in range(blocks + 1)]
    before, here = points(block - 1), places[block - 1]
    steps = points(block) - before
    towards = patterns.stored.take(torch.from_numpy(here.nearest)).double().numpy() - before
    rng = np.random.default_rng((seed, block))
    nulls: dict[NullKind, Move | None] = {}
    for at, (kind, taken) in enumerate(null_steps(steps, others, rng), start=blocks + 1):
        nulls[kind] = None
        if taken is not None:
            there = _place(patterns, before + taken, partial(part_of, tick, at, parts))
            nulls[kind] = Move(here, there, _cosines(taken, towards))
    lengths = row_norms(steps)
    return BlockDescent(
        step_sq=lengths**2,
        block=Move(here, places[block], _cosines(steps, towards)),
        nulls=nulls,
        reachable=np.maximum(np.sqrt(here.g) - lengths, 0.0) ** 2,
        places=places,
    )


def _place(patterns: Patterns, points: Array, tick: Tick) -> Place:
    found = evaluate(patterns, StoredRows(points), [1.0], mchn=False, tick=tick)
    return Place(found.g, found.energy[0], found.ids[:, 0])


def _cosines(a: Array, b: Array) -> Array:
    """(q,) cosines of the angles between rows; nan where a row is 0."""
    return np.einsum("qn,qn->q", unit_rows(a), unit_rows(b))
