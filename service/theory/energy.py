"""The energies of section 4, in float64: the short reference for tests of the streamed form.

    g(x)         = min_i ‖x − ρ_i‖²                                                            eq. (3), squared
    E_β(x)       = −β⁻¹ log Σ_i exp(−β ‖x − ρ_i‖²)                                             eq. (4) is β = 1
    E_MCHN^β(x)  = −β⁻¹ log Σ_i exp(β ρ_iᵀx) + ½‖x‖² + β⁻¹ log d + ½ M²,   M² = max_i ‖ρ_i‖²   section 4

With D_i = ‖x − ρ_i‖² and the lifted D'_i = D_i + M² − ‖ρ_i‖² ≥ D_i, the inner products are gone,

    E_MCHN^β(x)  = −β⁻¹ log Σ_i exp(−½ β D'_i) + β⁻¹ log d,

so both are one soft minimum, and neither cancels digits. Props. 2 and 3 follow from 0 ≤ D' − D ≤ max − min ‖ρ‖².
g and E do not change when everything is translated; E_MCHN does, because M² and ‖ρ_i‖² are about the origin.

Patterns are (d, n), queries (q, n).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidInput
from service.norms import LONGEST_SQUARED
from service.theory.domain import check

Array = NDArray[np.float64]
Kind = Literal["energy", "energy_mchn"]
MIN_BETA, MAX_BETA = 1e-12, 1e12
_BLOCK_NUMBERS = 2**20  # 8 MiB


def squared_distances(patterns: Array, queries: Array) -> Array:
    """(q, d) ‖x − ρ_i‖² by direct subtraction."""
    distances_sq = np.empty((len(queries), len(patterns)))
    step = max(1, _BLOCK_NUMBERS // max(1, patterns.size))
    for start in range(0, len(queries), step):
        gap = queries[start : start + step, None, :] - patterns[None, :, :]
        distances_sq[start : start + step] = np.einsum("qdn,qdn->qd", gap, gap)
    return distances_sq


def lifts(patterns: Array) -> Array:
    """(d,) M² − ‖ρ_i‖² ≥ 0, as (ρ_M − ρ_i)·(ρ_M + ρ_i), which keeps the digits that equal norms would cancel."""
    longest = patterns[np.argmax(np.einsum("dn,dn->d", patterns, patterns))]
    lifted = np.einsum("dn,dn->d", longest - patterns, longest + patterns)
    return lifted - lifted.min()  # rounded norms may tie where the true ones do not


def nearest(patterns: Array, queries: Array) -> tuple[Array, NDArray[np.int64]]:
    """g(x), eq. (3), and the pattern that attains it (the lowest index among equals); (q,) each."""
    distances_sq = squared_distances(patterns, queries)
    ids = distances_sq.argmin(axis=1)
    return distances_sq[np.arange(len(queries)), ids], ids


def energy(patterns: Array, queries: Array, beta: float = 1.0) -> Array:
    """(q,) E_β(x), eq. (4).

    Raises:
        InvalidInput: β out of range.
    """
    return soft_minimum(squared_distances(patterns, queries), check_beta(beta))


def energy_mchn(patterns: Array, queries: Array, beta: float = 1.0) -> Array:
    """(q,) E_MCHN^β(x) with all its constants.

    Raises:
        InvalidInput: β out of range.
    """
    return mchn_of_lifted(squared_distances(patterns, queries) + lifts(patterns), check_beta(beta))


def mchn_of_lifted(lifted_sq: Array, beta: float) -> Array:
    """(q,) E_MCHN^β from (q, d) lifted squared distances D'."""
    return (soft_minimum(lifted_sq, beta / 2) + 2 * math.log(lifted_sq.shape[1]) / beta) / 2


def soft_minimum(values: Array, beta: float) -> Array:
    """(q,) −β⁻¹ log Σ_i exp(−β v_i) = v_min − β⁻¹ log(1 + Σ_{others} exp(−β(v_i − v_min))); nothing overflows."""
    least = values.min(axis=1)
    weights = np.exp(-beta * (values - least[:, None]))
    weights[np.arange(len(values)), values.argmin(axis=1)] = 0.0
    return least - np.log1p(weights.sum(axis=1)) / beta


def softmax_weights(patterns: Array, queries: Array, beta: float = 1.0, kind: Kind = "energy") -> Array:
    """(q, d) softmax(−β D) for E, softmax(β ρᵀx) = softmax(−½ β D') for E_MCHN."""
    values, scale = _exponents(patterns, queries, check_beta(beta), kind)
    return softmax(values, scale)


def softmax(values: Array, beta: float) -> Array:
    """(q, d) softmax(−β v) along the second axis."""
    weights = np.exp(-beta * (values - values.min(axis=1, keepdims=True)))
    return weights / weights.sum(axis=1, keepdims=True)


def entropy(weights: Array) -> Array:
    """(q,) −Σ w log w in nats: 0 when one pattern holds all weight, log d when all hold the same."""
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return np.maximum(-(weights * logs).sum(axis=1), 0.0)


def gradient(patterns: Array, queries: Array, beta: float = 1.0, kind: Kind = "energy") -> Array:
    """(q, n) ∇E_β = 2(x − Σ p_i ρ_i), ∇E_MCHN^β = x − Σ p_i ρ_i, each with its own weights p."""
    weights = softmax_weights(patterns, queries, beta, kind)
    pull = np.stack([w @ (x - patterns) for w, x in zip(weights, queries, strict=True)])
    return 2 * pull if kind == "energy" else pull


def smallest_curvature(patterns: Array, query: Array, beta: float = 1.0, kind: Kind = "energy") -> float:
    """Smallest eigenvalue of the Hessian at one (n,) query: of 2I − 4β Cov_p(ρ) for E, of I − β Cov_p(ρ) for E_MCHN.

    Negative where the energy is not convex. Cov_p is the covariance of the patterns under the softmax weights.
    """
    weights = softmax_weights(patterns, query[None], beta, kind)[0]
    spread = np.sqrt(weights)[:, None] * (patterns - weights @ patterns)
    largest = float(np.linalg.norm(spread, 2)) ** 2
    return 2 - 4 * beta * largest if kind == "energy" else 1 - beta * largest


def check_beta(beta: float) -> float:
    """β, if it is from 1e-12 to 1e12.

    Raises:
        InvalidInput: with the field `beta`.
    """
    check("beta", beta, MIN_BETA, MAX_BETA)
    return beta


def check_patterns_and_queries(patterns: Array, queries: Array) -> None:
    """Check that every query has an energy among the patterns.

    Raises:
        InvalidInput: no patterns, rows of different lengths, or squared norms beyond a double.
    """
    if patterns.ndim != 2 or not patterns.size:
        raise InvalidInput("patterns must be a list of at least one row of numbers", field="patterns")
    if queries.ndim != 2 or queries.shape[1] != patterns.shape[1]:
        raise InvalidInput(f"every query must have {patterns.shape[1]} numbers, as the patterns have", field="queries")
    for name, rows in (("patterns", patterns), ("queries", queries)):
        beyond = np.flatnonzero(~(np.abs(rows) < LONGEST_SQUARED / math.sqrt(rows.shape[1])).all(axis=1))
        if len(beyond):
            message = f"the squared norm of row {beyond[0]} of {name} overflows a double; scale the vectors down"
            raise InvalidInput(message, field=name)


def _exponents(patterns: Array, queries: Array, beta: float, kind: Kind) -> tuple[Array, float]:
    distances_sq = squared_distances(patterns, queries)
    return (distances_sq, beta) if kind == "energy" else (distances_sq + lifts(patterns), beta / 2)
