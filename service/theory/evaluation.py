"""All energies of a few queries: the answer of `POST /v1/energy/evaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.errors import InvalidInput
from service.norms import SMALLEST_NORMAL, row_norms
from service.theory.energy import (
    Array,
    check_beta,
    check_patterns_and_queries,
    lifts,
    mchn_of_lifted,
    soft_minimum,
    squared_distances,
)
from service.theory.energy_bounds import bounds_theory, energy_bounds
from service.theory.softmax_weights import heights, weights_entropy

_BLOCK_NUMBERS = 2**20  # 8 MiB
POINT = ("g", "energy", "energy_mchn", "nearest", "weights_entropy", "weights_entropy_rounding")


def evaluate_columns(patterns: Array, queries: Array, beta: float) -> tuple[dict[str, Array], dict[str, Any]]:
    """Each of `POINT` as a (q,) array, and Props. 1 to 3 over all queries.

    Args:
        patterns, queries: (d, n) and (q, n) float64; a query equal to a pattern is not excluded.

    Raises:
        InvalidInput: shapes, sizes of numbers or β are wrong, or a squared distance underflows a double.
    """
    check_beta(beta)
    check_patterns_and_queries(patterns, queries)
    lifted = lifts(patterns)
    columns: dict[str, list[Array]] = {}
    step = max(1, _BLOCK_NUMBERS // len(patterns))
    for start in range(0, len(queries), step):
        for name, values in _columns(patterns, queries, slice(start, start + step), lifted, beta).items():
            columns.setdefault(name, []).append(values)
    found = {name: np.concatenate(parts) for name, parts in columns.items()}
    bounds = energy_bounds(found["g"], found["energy_1"], found["mchn_2"], len(patterns), float(lifted.max()))
    return {name: found[name] for name in POINT}, bounds_theory(bounds)


def _columns(patterns: Array, queries: Array, part: slice, lifted: Array, beta: float) -> dict[str, Any]:
    block = queries[part]
    distances_sq = squared_distances(patterns, block)
    near = distances_sq.argmin(axis=1)
    for at in np.flatnonzero(distances_sq[np.arange(len(near)), near] < SMALLEST_NORMAL):
        near[at] = _pattern_at(patterns, block[at], part.start + at)
    above = heights(patterns, block, near)
    g = distances_sq[np.arange(len(near)), above.nearest]
    spread, rounding = weights_entropy(above, beta)
    lifted_sq = distances_sq + lifted
    return {
        "g": g,
        "energy": g + soft_minimum(above.values, beta),
        "energy_mchn": mchn_of_lifted(lifted_sq, beta),
        "nearest": above.nearest,
        "weights_entropy": spread,
        "weights_entropy_rounding": rounding,
        "energy_1": g + soft_minimum(above.values, 1.0),
        "mchn_2": mchn_of_lifted(lifted_sq, 2.0),
    }


def _pattern_at(patterns: Array, query: Array, number: int) -> int:
    """The first pattern that equals a query whose smallest squared distance is, or underflows to, 0.

    Raises:
        InvalidInput: no pattern does; naming the query and the nearest pattern.
    """
    distances = row_norms(patterns - query)
    near = int(distances.argmin())
    if distances[near] > 0:
        raise InvalidInput(
            f"query {number} is {distances[near]:.3g} from pattern {near}: the squared distance underflows a double; "
            "scale the vectors up",
            field="queries",
        )
    return near
