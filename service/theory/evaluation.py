"""All energies of a few queries at once, as `POST /v1/energy/evaluate` answers them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.theory.energy import (
    Array,
    check_beta,
    check_patterns_and_queries,
    entropy,
    lifts,
    soft_minimum,
    squared_distances,
)
from service.theory.energy_bounds import bounds_theory, energy_bounds

_BLOCK_NUMBERS = 2**20  # 8 MiB


def evaluate_queries(patterns: Array, queries: Array, beta: float) -> dict[str, Any]:
    """Energies at each query and Props. 1 to 3 over all of them.

    Args:
        patterns, queries: (d, n) and (q, n) float64; a query that is a pattern is not left out.

    Raises:
        InvalidInput: shapes, sizes of numbers or β are wrong.
    """
    check_beta(beta)
    check_patterns_and_queries(patterns, queries)
    lifted, log_d = lifts(patterns), math.log(len(patterns))
    columns: dict[str, list[Array]] = {}
    for start in range(0, len(queries), max(1, _BLOCK_NUMBERS // len(patterns))):
        block = queries[start : start + max(1, _BLOCK_NUMBERS // len(patterns))]
        for name, values in _columns(squared_distances(patterns, block), lifted, log_d, beta).items():
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


def _columns(distances_sq: Array, lifted: Array, log_d: float, beta: float) -> dict[str, Any]:
    lifted_sq = distances_sq + lifted
    weights = np.exp(-beta * (distances_sq - distances_sq.min(axis=1, keepdims=True)))
    return {
        "g": distances_sq.min(axis=1),
        "energy": soft_minimum(distances_sq, beta),
        "energy_mchn": (soft_minimum(lifted_sq, beta / 2) + 2 * log_d / beta) / 2,
        "nearest": distances_sq.argmin(axis=1),
        "weights_entropy": entropy(weights / weights.sum(axis=1, keepdims=True)),
        "energy_1": soft_minimum(distances_sq, 1.0),
        "mchn_2": (soft_minimum(lifted_sq, 1.0) + log_d) / 2,
    }
