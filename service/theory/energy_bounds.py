"""Propositions 1 to 3, as printed and corrected, checked against energies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.theory.energy import Array, lifts

PROPOSITION_2_NOTE = (
    "Prop. 2: the difference never exceeds 0, so −Δ ≤ E − (2E_MCHN − log d) ≤ 0 with Δ = max − min ‖ρ‖²; the proof's "
    "max‖ρ‖² − ξ² is 0 and should be ξ² − min‖ρ‖²."
)
PROPOSITION_3_NOTE = (
    "Prop. 3: log d stands on the wrong side; −(Δ + log d) ≤ g − 2E_MCHN ≤ 0 holds and both ends are attained, while "
    "the printed lower bound −Δ fails on ordinary data, as for patterns −1 and 1 at x = 1."
)
ORIGIN_NOTE = "Section 4: E_MCHN and Δ depend on where the origin is; g and E do not."


@dataclass(frozen=True)
class Interval:
    """One inequality: lower ≤ value ≤ upper, and the share of points where it fails."""

    lower: float
    upper: float
    failed_share: float


@dataclass(frozen=True)
class EnergyBounds:
    """Props. 1 to 3 on q points, of d patterns whose squared norms differ by at most `spread` (Δ).

    `*_range` are the smallest and the largest value of the quantity that each proposition bounds.
    """

    patterns: int
    spread: float
    proposition_1: Interval
    proposition_2_printed: Interval
    proposition_2: Interval
    proposition_3_printed: Interval
    proposition_3: Interval
    proposition_1_range: tuple[float, float]
    proposition_2_range: tuple[float, float]
    proposition_3_range: tuple[float, float]


def norm_spread(patterns: Array) -> float:
    """Δ = max_i ‖ρ_i‖² − min_i ‖ρ_i‖²."""
    return float(lifts(patterns).max())


def energy_bounds(
    g: Array, energy: Array, energy_mchn: Array, patterns: int, spread: float, *, rounding: float = 1e-12
) -> EnergyBounds:
    """Check Props. 1 to 3 at (q,) points by their g, E at β = 1 and E_MCHN at β = 2.

    Args:
        patterns: d, the number of patterns of every energy.
        spread: Δ.
        rounding: relative error of the energies; a bound fails only where it is missed by more.
    """
    log_d = math.log(patterns)
    slack = rounding * (1 + np.abs(g) + np.abs(energy) + 2 * np.abs(energy_mchn) + spread)
    first, second, third = energy - g, energy - (2 * energy_mchn - log_d), g - 2 * energy_mchn

    def checked(values: Array, lower: float, upper: float) -> Interval:
        outside = (values < lower - slack) | (values > upper + slack)
        return Interval(lower, upper, float(outside.mean()))

    return EnergyBounds(
        patterns=patterns,
        spread=spread,
        proposition_1=checked(first, -log_d, 0.0),
        proposition_2_printed=checked(second, -spread, spread),
        proposition_2=checked(second, -spread, 0.0),
        proposition_3_printed=checked(third, -spread, spread + log_d),
        proposition_3=checked(third, -(spread + log_d), 0.0),
        proposition_1_range=_range(first),
        proposition_2_range=_range(second),
        proposition_3_range=_range(third),
    )


def bounds_theory(found: EnergyBounds) -> dict[str, Any]:
    """The bounds in the form of every theory answer."""
    return {
        "patterns": found.patterns,
        "spread": found.spread,
        "paper_literal": {
            "proposition_1": _shown(found.proposition_1),
            "proposition_2": _shown(found.proposition_2_printed),
            "proposition_3": _shown(found.proposition_3_printed),
        },
        "corrected": {
            "proposition_1": _shown(found.proposition_1),
            "proposition_2": _shown(found.proposition_2),
            "proposition_3": _shown(found.proposition_3),
        },
        "measured": {
            "energy_minus_g": list(found.proposition_1_range),
            "energy_minus_shifted_mchn": list(found.proposition_2_range),
            "g_minus_twice_mchn": list(found.proposition_3_range),
        },
        "notes": [PROPOSITION_2_NOTE, PROPOSITION_3_NOTE, ORIGIN_NOTE],
    }


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _shown(interval: Interval) -> dict[str, float]:
    return {"lower": interval.lower, "upper": interval.upper, "failed_share": interval.failed_share}
