"""The weights of E and their entropy where distances are so large that their differences drown in their rounding.

A difference of squared distances needs neither of them, with j the nearest pattern:

    h_i = ‖x − ρ_i‖² − ‖x − ρ_j‖² = (ρ_j − ρ_i)·((x − ρ_i) + (x − ρ_j)),

in error by |δ_i| ≤ γ Σ_k |ρ_j − ρ_i|_k (|x − ρ_i|_k + |x − ρ_j|_k), γ = (n + 4)u / (1 − (n + 4)u). Of the softmax
p_i ∝ exp(−β h_i) the entropy S has ∂S/∂(β h_i) = p_i (log p_i + S), so that by the mean value theorem S is in error by

    |δS| ≤ Σ_i β|δ_i| (φ(q_i) + q_i log d),    φ(q) = −q log q up to 1/e, then 1/e,

where q_i = min(1, exp(−β(h_i − |δ_i|)) / Σ_k exp(−β(h_k + |δ_k|))) is the largest p_i that the errors allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.theory.energy import Array, entropy, softmax

_BLOCK_NUMBERS = 2**20  # 8 MiB
_UNIT = 2.0**-53


@dataclass(frozen=True)
class Heights:
    """(q, d) h_i ≥ 0 of every query above its nearest pattern, and bounds on their rounding; `nearest` are its ids."""

    values: Array
    rounding: Array
    nearest: np.ndarray


def heights(patterns: Array, queries: Array, near: np.ndarray) -> Heights:
    """The heights of (d, n) patterns at (q, n) queries; `near` are the ids of the nearest patterns but for rounding."""
    values, rounding = (np.empty((len(queries), len(patterns))) for _ in range(2))
    terms = (patterns.shape[1] + 4) * _UNIT
    gamma, step = terms / (1 - terms), max(1, _BLOCK_NUMBERS // patterns.size)
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        gaps = queries[part, None, :] - patterns
        nearest_gap = (queries[part] - patterns[near[part]])[:, None, :]
        apart = patterns[near[part]][:, None, :] - patterns
        values[part] = np.einsum("qdn,qdn->qd", apart, gaps + nearest_gap)
        rounding[part] = gamma * np.einsum("qdn,qdn->qd", np.abs(apart), np.abs(gaps) + np.abs(nearest_gap))
    every = np.arange(len(queries))
    nearest = np.where(values.min(axis=1) < 0, values.argmin(axis=1), near)
    least, its_rounding = values[every, nearest], rounding[every, nearest]
    return Heights(values - least[:, None], rounding + its_rounding[:, None], nearest)


def weights_entropy(found: Heights, beta: float) -> tuple[Array, Array]:
    """(q,) entropy of softmax(−β h) in nats, and a bound on what rounding changed in it."""
    d = found.values.shape[1]
    most = np.log(d)
    exact = entropy(softmax(found.values, beta))
    low, high = beta * np.maximum(found.values - found.rounding, 0.0), beta * (found.values + found.rounding)
    largest = np.minimum(np.exp(-low) / np.exp(-high).sum(axis=1, keepdims=True), 1.0)
    safe = np.clip(largest, np.finfo(np.float64).tiny, 1 / np.e)
    moved = np.minimum(beta * found.rounding, 1e300) * (-safe * np.log(safe) + largest * most)
    own = (d + 16) * _UNIT * (1 + most)  # of the sums themselves
    return exact, np.minimum(moved.sum(axis=1) + own, most)
