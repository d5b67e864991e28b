"""Laws of the loss in parameters N and tokens D, in nats per token: Chinchilla, eq. (1), and Kaplan, section 1.

Sources: Hoffmann et al. 2022 (arXiv 2203.15556), approach 3; Besiroglu et al. 2024 (arXiv 2404.10102);
Kaplan et al. 2020 (arXiv 2001.08361), tables 2 and 5. Kaplan's N excludes embeddings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.theory.domain import MAX_COUNT, check


@dataclass(frozen=True)
class Chinchilla:
    """Constants of L(N, D) = E + A/N^α + B/D^β, eq. (1)."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    source: str

    def loss(self, parameters: float, tokens: float) -> float:
        """L(N, D) in nats per token.

        Raises:
            InvalidInput: N or D is not from 1 to 1e30.
        """
        _check(parameters, tokens)
        return self.E + self.A / parameters**self.alpha + self.B / tokens**self.beta

    @property
    def balance_exponent(self) -> float:
        """β/α: at least compute, N grows as D to this power."""
        return self.beta / self.alpha


@dataclass(frozen=True)
class Kaplan:
    """Constants of L(N, D) = ((N_c/N)^{α_N/α_D} + D_c/D)^{α_D}, section 1."""

    critical_parameters: float  # N_c
    critical_tokens: float  # D_c
    alpha_n: float
    alpha_d: float
    source: str

    def loss(self, parameters: float, tokens: float) -> float:
        """L(N, D) in nats per token, as exp(α_D · logaddexp(…)): the sum has no overflow.

        Raises:
            InvalidInput: N or D is not from 1 to 1e30.
        """
        _check(parameters, tokens)
        from_parameters = self.alpha_n / self.alpha_d * math.log(self.critical_parameters / parameters)
        from_tokens = math.log(self.critical_tokens / tokens)
        return math.exp(self.alpha_d * float(np.logaddexp(from_parameters, from_tokens)))

    @property
    def balance_exponent(self) -> float:
        """α_D/α_N: where N grows as D to this power, both terms keep their ratio (the bound against overfitting)."""
        return self.alpha_d / self.alpha_n


CHINCHILLA_PRINTED = Chinchilla(1.61, 406.4, 410.7, 0.34, 0.28, "eq. (1), section 2")
CHINCHILLA = Chinchilla(1.69, 406.4, 410.7, 0.34, 0.28, "Hoffmann et al. 2022, approach 3")
CHINCHILLA_BESIROGLU = Chinchilla(1.8172, 482.01, 2085.43, 0.3478, 0.3658, "Besiroglu et al. 2024")
KAPLAN_JOINT = Kaplan(6.4e13, 1.8e13, 0.076, 0.103, "Kaplan et al. 2020, fit of L(N, D)")
KAPLAN_SEPARATE = Kaplan(8.8e13, 5.4e13, 0.076, 0.095, "Kaplan et al. 2020, fits of L(N) and of L(D)")

_NOTES = [
    "Eq. (1): the paper quotes E = 1.61; Hoffmann et al. publish E = 1.69 with the same other constants.",
    "Eq. (1): Besiroglu et al. fitted the same data again and found another optimum, N ∝ D^1.05 and not D^0.82.",
    "Section 1: the paper gives no constants for Kaplan's law; `kaplan_joint` has those fitted to L(N, D) itself, "
    "`kaplan_separate` those of the two one-variable laws, and N excludes embeddings in both.",
    "Prop. 5: none of these laws has N ∝ D² at its optimum at fixed compute.",
]


def scaling_laws_theory(parameters: float, tokens: float) -> dict[str, Any]:
    """The loss that each law predicts for N parameters and D tokens.

    Raises:
        InvalidInput: N or D is not from 1 to 1e30.
    """
    return {
        "paper_literal": {"chinchilla": CHINCHILLA_PRINTED.loss(parameters, tokens)},
        "corrected": corrected_losses(parameters, tokens),
        "notes": _NOTES,
    }


def corrected_losses(parameters: float, tokens: float) -> dict[str, float]:
    """The laws with their published constants, by name."""
    laws = {
        "chinchilla": CHINCHILLA,
        "chinchilla_besiroglu": CHINCHILLA_BESIROGLU,
        "kaplan_joint": KAPLAN_JOINT,
        "kaplan_separate": KAPLAN_SEPARATE,
    }
    return {name: law.loss(parameters, tokens) for name, law in laws.items()}


def _check(parameters: float, tokens: float) -> None:
    check("N", parameters, 1, MAX_COUNT)
    check("D", tokens, 1, MAX_COUNT)
