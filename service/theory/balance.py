"""Prop. 5, N = O(D²): the paper's way to it, what follows with T and l fixed, and what Z_t = 1 really gives.

Paper: 1 = Z_t ≤ d·V_n(√(n/2πe)) ≈ d/√(πn), hence n ≤ d²/π; with n = T·d_emb, D = T·d and N = A·l·d_emb², eq. (2), and
A·l·d_emb/T held constant, N ≤ (A·l·d_emb/πT³)·D². T = T_max tokens per pattern, l layers.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import InvalidInput
from service.theory.ball_bounds import ball_bounds
from service.theory.balls import asymptotic_unit_radius, log_ball_integral
from service.theory.domain import check_patterns, shown
from service.theory.openelm_size import OPENELM
from service.theory.partition import log_partition
from service.theory.stopping_table import TABLE_3
from service.theory.unit_partition import dimension_root, unit_partition_dimension

TOKENS_PER_PATTERN = 1024  # T_max of appendix G.1

_NOTES = [
    "Prop. 5: only the upper bound of (14) leads to N = O(D²), so it bounds N from above and gives no balance.",
    "Prop. 5: with T and l fixed, as in appendix F.3, n = T·d_emb makes N = A·l·d_emb² grow as n², so that the same "
    "step gives N = O(D⁴), and O(D⁶) if l grows with d_emb.",
    "Eq. (14): with the correct integral, Z_t = 1 at the radius √(n/2πe) means n ≈ 2πe·log d, so N grows as log D, or "
    "as log² D with T and l fixed, and not as D².",
    "Eq. (2): below Prop. 5 the paper writes A·d·d_emb/T_max for A·l·d_emb/T_max.",
    "Table 3: the paper's way also gives the constant N/D² = A·l·d_emb/(πT³), which differs between the three models "
    "and is some 10⁴ times the reported one.",
]


@dataclass(frozen=True)
class UnitPartitionPatterns:
    """log d of the number of patterns at which Z_t = 1, for balls of radius √(n/2πe) in dimension n."""

    log_upper_reading: float  # d·V_n = 1, the paper's: about ½ log(πn)
    log_lower_reading: float  # d·e^{−r}V_n = 1, the paper's lower bound
    log_true: float  # d·I_n = 1


@dataclass(frozen=True)
class ModelBalance:
    """A model of appendix F.3: the constant and the D* that Prop. 5's derivation predicts, against the reported."""

    model: str
    parameters: float
    dimension: int  # n = T·d_emb
    reported_tokens: float
    reported_ratio: float  # N/D*²
    predicted_ratio: float  # A·l·d_emb/(πT³)
    predicted_tokens: float  # T·√(πn)
    log_partition: float  # true log Z_t at the reported D*, radius √(n/2πe)


def unit_partition_patterns(n: float) -> UnitPartitionPatterns:
    """The number of patterns with Z_t = 1 under each reading of (14).

    Raises:
        InvalidInput: n out of range.
    """
    r = asymptotic_unit_radius(n)
    bounds = ball_bounds(n, r)
    return UnitPartitionPatterns(-bounds.log_volume, -bounds.log_printed_lower, -log_ball_integral(n, r))


def lower_reading_dimension(d: float) -> float:
    """The (real) n at which the printed lower bound of (14), d·e^{−r}V_n at r = √(n/2πe), is 1; about 2πe·(log d)².

    Raises:
        InvalidInput: d out of range, or too small for a dimension n ≥ 1.
    """
    check_patterns(d)

    def log_bound(n: float) -> float:
        return math.log(d) - unit_partition_patterns(n).log_lower_reading

    if log_bound(1.0) < 0:
        least = math.exp(unit_partition_patterns(1).log_lower_reading)
        raise InvalidInput(f"d must be at least {least:.3g} for a dimension n ≥ 1, not {shown(d)}", field="d")
    return dimension_root(log_bound)


def model_balances() -> list[ModelBalance]:
    """The three OpenELM models, with the printed N, d_emb and D*."""
    found = []
    for (name, printed), row in zip(OPENELM.items(), TABLE_3, strict=True):
        t, n = TOKENS_PER_PATTERN, TOKENS_PER_PATTERN * printed.d_model
        constant = row.parameters / (printed.n_layers * printed.d_model**2)
        found.append(
            ModelBalance(
                model=name,
                parameters=row.parameters,
                dimension=n,
                reported_tokens=row.optimal_tokens,
                reported_ratio=row.parameters / row.optimal_tokens**2,
                predicted_ratio=constant * printed.n_layers * printed.d_model / (math.pi * t**3),
                predicted_tokens=t * math.sqrt(math.pi * n),
                log_partition=log_partition(n, row.optimal_tokens / t, asymptotic_unit_radius(n)),
            )
        )
    return found


def balance_theory(n: int, d: int) -> dict[str, Any]:
    """Prop. 5 at dimension n and d patterns: what d gives Z_t = 1 in dimension n, and what n with d patterns.

    Raises:
        InvalidInput: n or d out of range; d below 3, for which no dimension has Z_t = 1.
    """
    patterns = unit_partition_patterns(n)
    models = [asdict(model) for model in model_balances()]
    printed = ("model", "parameters", "reported_tokens", "reported_ratio", "predicted_ratio", "predicted_tokens")
    return {
        "paper_literal": {
            "exponent": 2.0,
            "log_patterns_upper": patterns.log_upper_reading,
            "log_patterns_lower": patterns.log_lower_reading,
            "dimension_upper": d * d / math.pi,
            "dimension_lower": lower_reading_dimension(d),
            "models": [{name: model[name] for name in printed} for model in models],
        },
        "corrected": {
            "exponent_fixed_length_and_depth": 4.0,
            "exponent_fixed_length_depth_as_width": 6.0,
            "log_patterns": patterns.log_true,
            "dimension": unit_partition_dimension(d),
            "models": [{name: model[name] for name in ("model", "dimension", "log_partition")} for model in models],
        },
        "notes": _NOTES,
    }
