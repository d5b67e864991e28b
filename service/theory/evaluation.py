"""All energies of a few queries: the answer of `POST /v1/energy/evaluate`."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.theory.energy import (
    Array,
    check_beta,
    check_patterns_and_queries,
    entropy,
    lifts,
    mchn_of_lifted,
    soft_minimum,
    softmax,
    squared_distances,
)
from service.theory.energy_bounds import bounds_theory, energy_bounds

_BLOCK_NUMBERS = 2**20  # 8 MiB


def evaluate_queries(patterns: Array, queries: Array, beta: float) -> dict[str, Any]:
    """Energies at each query and Props. 1 to 3 over all of them.

    Args:
        patterns, queries: (d, n) and (q, n) float64; a query equal to a pattern is not excluded.

    Raises:
        InvalidInput: shapes, sizes of numbers or β are wrong.
    """
    check_beta(beta)
    check_patterns_and_queries(patterns, queries)
    lifted = lifts(patterns)
    columns: dict[str, list[Array]] = {}
    step = max(1, _BLOCK_NUMBERS // len(patterns))
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        for name, values in _columns(squared_distances(patterns, block), lifted, beta).items():
            columns.setdefault(name, []).append(values)
    found = {name: np.concatenate(parts) for name, parts in columns.items()}
    names = ("g", "energy", "energy_mchn", "nearest", "weights_entropy")
    rows = zip(*(found[name].tolist() for name in names), strict=True)
    bounds = energy_bounds(found["g"], found["energy_1"], found["mchn_2"], len(patterns), float(lifted.max()))
    return {
        "beta": beta,
        "results": [dict(zip(names, row, strict=True)) for row in rows],
        "bounds": bounds_theory(bounds),
    }


def _columns(distances_sq: Array, lifted: Array, beta: float) -> dict[str, Any]:
    lifted_sq = distances_sq + lifted
    return {
        "g": distances_sq.min(axis=1),
        "energy": soft_minimum(distances_sq, beta),
        "energy_mchn": mchn_of_lifted(lifted_sq, beta),
        "nearest": distances_sq.argmin(axis=1),
        "weights_entropy": entropy(softmax(distances_sq, beta)),
        "energy_1": soft_minimum(distances_sq, 1.0),
        "mchn_2": mchn_of_lifted(lifted_sq, 2.0),
    }
