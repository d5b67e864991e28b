"""The loss (15) of d equal disjoint balls under each reading of the layer energy E_t.

As printed, E_t = exp(−g_t)/Z_t is a density, and L = log ∫_Ω exp(−E_t) + 1/Z_t at a pattern. With E_t = g_t it is
L = log Z_t. Prop. 4 adds one part of each. In nats per pattern, one layer (l = 1, c = 0).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from service.theory.balls import log_ball_volume
from service.theory.domain import check_patterns
from service.theory.loss import LOG_MAX, TWO_ENERGIES_NOTE, UNITS_NOTE, per_token, proposition_4_loss
from service.theory.partition import log_partition, partition_theory

_LITERAL_NOTE = (
    "Eq. (15): with E_t = exp(−g_t)/Z_t throughout, log|Ω| ≤ L ≤ log|Ω| + 1/Z_t, so the model is never better than the "
    "uniform law on Ω, and minimising E_t in (6) leads away from the patterns, where that density is largest."
)
_FAR = 45.0  # e^{−45} of the integrand's largest is negligible
_LARGE = 600.0  # of −log Z; a logarithm beside e^600 changes no digit
_TEST_NOTE = "Eq. (15), step (a): g(ρ) = 0 holds only for test points that are patterns; else the mean of g is added."


@dataclass(frozen=True)
class DensityLoss:
    """L with E_t = exp(−g_t)/Z_t as printed, and its bounds; None where 1/Z_t overflows, then `log_loss` stands."""

    loss: float | None
    log_loss: float | None  # None where the loss is not positive
    lower: float  # log|Ω|
    upper: float | None  # log|Ω| + 1/Z_t


def density_loss(n: float, d: float, r: float) -> DensityLoss:
    """L = log ∫_Ω exp(−exp(−g_t(x))/Z_t) dx + 1/Z_t, Ω = d disjoint balls of radius r, Z_t = d·I_n(r).

    With s = (‖y‖/r)^n = e^{−v} the mean over a ball is ∫_0^∞ e^{−v} exp(−exp(−r² e^{−2v/n})/Z_t) dv; the largest of the
    integrand, at v = 0, is taken out, for it may underflow.

    Raises:
        InvalidInput: n, d or r out of range.
    """
    check_patterns(d)
    log_z = log_partition(n, d, r)
    log_omega = math.log(d) + log_ball_volume(n, r)
    upper = log_omega + math.exp(-log_z) if -log_z <= LOG_MAX else None
    if -log_z > _LARGE:
        log_loss = -log_z + math.log(-math.expm1(-r * r))  # 1/Z less the integrand's largest; the rest is lost
        return DensityLoss(math.exp(log_loss) if log_loss <= LOG_MAX else None, log_loss, log_omega, upper)
    log_mean = math.log(_mean_below_edge(n, r * r, log_z))
    loss = log_omega + log_mean - math.exp(-log_z) * math.expm1(-r * r)
    return DensityLoss(loss, math.log(loss) if loss > 0 else None, log_omega, upper)


def _mean_below_edge(n: float, x: float, log_z: float) -> float:
    """∫_0^∞ e^{−v} exp(E(0) − E(v)) dv with E(v) = exp(−x e^{−2v/n})/Z, by 40 points on each of some intervals."""
    edge = math.exp(-x - log_z)
    width = 1 / (1 + 2 * x * edge / n)  # the integrand falls by e over about this length, then more slowly
    ends = np.array([0.0, *np.geomspace(width, _FAR, 2 + int(math.log(_FAR / width)))])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    half = np.diff(ends)[:, None] / 2
    v = ends[:-1, None] + half * (nodes + 1)
    gap = -x * np.expm1(-2 * v / n)  # r² − ‖y‖²
    near = edge * np.expm1(np.minimum(gap, 1))  # E(v) − E(0), without cancellation
    above = np.where(gap < 1, near, np.exp(-x * np.exp(-2 * v / n) - log_z) - edge)
    return float(np.sum(half * weights * np.exp(-v - above)))


def loss_readings_theory(n: int, d: int, r: float, tokens: int) -> dict[str, Any]:
    """Every reading of L for d equal balls, and the consistent one per token of a pattern of `tokens` tokens.

    Raises:
        InvalidInput: an argument is out of range.
    """
    both = partition_theory(n, d, r)
    log_printed, log_z = both["paper_literal"]["log_partition"], both["corrected"]["log_partition"]
    return {
        "paper_literal": {"log_partition": log_printed} | asdict(proposition_4_loss(log_printed)),
        "corrected": {
            "log_partition": log_z,
            "loss": log_z,
            "per_token": asdict(per_token(log_z, tokens)),
            "proposition_4": asdict(proposition_4_loss(log_z)),
            "density": asdict(density_loss(n, d, r)),
        },
        "notes": [TWO_ENERGIES_NOTE, _LITERAL_NOTE, _TEST_NOTE, UNITS_NOTE],
    }
