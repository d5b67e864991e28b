"""Does a block do a nearest-neighbour search? Eq. (6), measured.

Block t moves x_{t−1} to x_t. If it minimises g_t, the squared distance to the nearest of its stored patterns, then
g_t(x_t) < g_t(x_{t−1}). The stored patterns are activations after block t of documents that no query comes from.
The move is compared with two nulls: the patterns of another layer (a shuffle of layers), and a step of the same length
in a random direction, which in n dimensions nearly always raises g by the squared length of the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from service.norms import row_norms, unit_rows
from workers.energy.energies import evaluate
from workers.energy.patterns import Patterns
from workers.energy.query_block import Energies
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick, part_of

Array = np.ndarray


@dataclass(frozen=True)
class Move:
    """The energies of queries before and after their move from x_{t−1} to x_t, among the patterns of one layer.

    Attributes:
        g_before, g_after: (q,) g_t at both ends.
        energy_before, energy_after: (q,) E_t (β = 1) at both ends.
        nearest_before, nearest_after: (q,) ids of the nearest pattern.
        cosine: (q,) between the step and the direction from x_{t−1} to its nearest pattern; nan where either is 0.
    """

    g_before: Array
    g_after: Array
    energy_before: Array
    energy_after: Array
    nearest_before: Array
    nearest_after: Array
    cosine: Array


@dataclass(frozen=True)
class BlockDescent:
    """The measurements of block t: its move, the nulls, and the length of the step.

    Attributes:
        step_sq: (q,) δ_t = ‖x_t − x_{t−1}‖².
        block: the move among the patterns of layer t.
        shuffled: the same move among the patterns of another layer.
        random: a step of the same length in a random direction, among the patterns of layer t.
        reachable: (q,) g_t after the best step of that length, (√g_t(x_{t−1}) − √δ_t)₊².
        shuffled_layer: index of the layer of the shuffled patterns.
    """

    step_sq: Array
    block: Move
    shuffled: Move | None
    random: Move
    reachable: Array
    shuffled_layer: int | None


def measure_block(
    before: Array,
    after: Array,
    patterns: Patterns,
    shuffled: tuple[int, Patterns] | None,
    *,
    seed: int,
    tick: Tick = lambda share: None,
) -> BlockDescent:
    """Measure one block against its nulls.

    Args:
        before, after: (q, n) float64 queries x_{t−1} and x_t.
        patterns: stored patterns of layer t.
        shuffled: number and patterns of another layer, None where there is none.
    """
    step = after - before
    lengths = row_norms(step)
    directions = np.random.default_rng(seed).standard_normal(step.shape)
    directions *= (lengths / np.linalg.norm(directions, axis=1))[:, None]
    move = _move(before, after, patterns, partial(part_of, tick, 0, 3))
    random = _move(before, before + directions, patterns, partial(part_of, tick, 1, 3))
    other = None if shuffled is None else _move(before, after, shuffled[1], partial(part_of, tick, 2, 3))
    reachable = np.maximum(np.sqrt(move.g_before) - lengths, 0.0) ** 2
    return BlockDescent(lengths**2, move, other, random, reachable, None if shuffled is None else shuffled[0])


def shuffled_layers(layers: int, seed: int) -> list[int]:
    """A permutation of the layers without fixed points: a cyclic shift of a seeded order."""
    order = np.random.default_rng(seed).permutation(layers)
    shifted = np.empty(layers, dtype=np.int64)
    shifted[order] = np.roll(order, 1)
    return shifted.tolist()


def _move(before: Array, after: Array, patterns: Patterns, tick: Tick) -> Move:
    here = _evaluate(patterns, before, partial(part_of, tick, 0, 2))
    there = _evaluate(patterns, after, partial(part_of, tick, 1, 2))
    nearest = patterns.stored.take(torch.from_numpy(here.ids[:, 0])).double().numpy()
    return Move(
        g_before=here.g,
        g_after=there.g,
        energy_before=here.energy[0],
        energy_after=there.energy[0],
        nearest_before=here.ids[:, 0],
        nearest_after=there.ids[:, 0],
        cosine=_cosines(after - before, nearest - before),
    )


def _evaluate(patterns: Patterns, points: Array, tick: Tick) -> Energies:
    return evaluate(patterns, StoredRows(points), [1.0], mchn=False, tick=tick)


def _cosines(a: Array, b: Array) -> Array:
    """(q,) cosines of the angles between rows; nan where a row is 0."""
    return np.einsum("qn,qn->q", unit_rows(a), unit_rows(b))
