"""The loss of Prop. 4 and eq. (15), in nats per pattern: L = log Z + 1/Z, its inverse, and what else L may mean."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from service.errors import InvalidInput
from service.theory.domain import MAX_LOG, check, shown

LOG_MAX = math.log(sys.float_info.max)
TWO_ENERGIES_NOTE = (
    "Prop. 4: 1/Z_t takes E_t = exp(−g_t)/Z_t and log Z_t takes E_t = g_t, which cannot both hold; with E_t = g_t "
    "throughout, L = log Z_t, which has no lower bound."
)
UNITS_NOTE = (
    "Eq. (15): L is a differential cross-entropy in nats per pattern (a whole sequence), changes by n·log s when x is "
    "scaled by s, and is no loss per token; L ≥ 1 says nothing about Table 2."
)
_BRANCHES_NOTE = (
    "Prop. 4: log Z + 1/Z takes every value above 1 twice, at Z = −1/W(−e^{−L}) on both real branches of Lambert's W; "
    "the list has the Z ≤ 1 first."
)


@dataclass(frozen=True)
class Loss:
    """A loss and its logarithm; `loss` is None where it overflows a double."""

    loss: float | None
    log_loss: float


@dataclass(frozen=True)
class PerToken:
    """A loss per pattern of `tokens` tokens in the units that language models are reported in."""

    nats: float
    bits: float
    perplexity: float | None  # None where it overflows a double


def proposition_4_loss(log_partition: float) -> Loss:
    """L = log Z + 1/Z ≥ 1 of log Z, Prop. 4; least at Z = 1. In nats per pattern.

    Raises:
        InvalidInput: `log_partition` is not a number within ±1e300.
    """
    check("log_partition", log_partition, -MAX_LOG, MAX_LOG)
    if -log_partition > LOG_MAX:
        return Loss(None, -log_partition)  # L = (1 + Z log Z)/Z, and Z log Z is below 1e−300
    above = _excess(log_partition)
    return Loss(1 + above, math.log1p(above))


def proposition_4_partitions(loss: float) -> tuple[float, float]:
    """Both log Z with log Z + 1/Z = `loss`: the one with Z ≤ 1, then the one with Z ≥ 1.

    Raises:
        InvalidInput: `loss` is below 1 (Prop. 4 has no smaller one) or above 1e300.
    """
    if not 1 <= loss <= MAX_LOG:
        raise InvalidInput(f"loss must be from 1 (the least of Prop. 4) to 1e300, not {shown(loss)}", field="loss")
    above = loss - 1
    # log Z = u solves u + e^{−u} = L. scipy's lambertw(−e^{−L}) is of no use at L = 1, its branch point, nor for
    # L > 745, where the argument is 0; Newton from the outer side of either root converges monotonically.
    small, large = -math.sqrt(2 * above), above + math.sqrt(2 * above)
    if above > 1:
        small, large = -math.log(loss + 2 * math.log(loss) + 1), loss
    return _root(above, small), _root(above, large)


def per_token(loss: float, tokens: int) -> PerToken:
    """A loss in nats per pattern of `tokens` tokens, per token: nats, bits = nats/ln 2 and perplexity = e^nats.

    Raises:
        InvalidInput: `tokens` is below 1 or `loss` is not finite.
    """
    check("tokens", tokens, 1, 10**18)
    check("loss", loss, -MAX_LOG, MAX_LOG)
    nats = loss / tokens
    return PerToken(nats, nats / math.log(2), math.exp(nats) if nats <= LOG_MAX else None)


def loss_theory(log_partition: float) -> dict[str, Any]:
    """The loss at log Z: Prop. 4's, and the consistent reading L = log Z."""
    found = proposition_4_loss(log_partition)
    return {
        "paper_literal": {"loss": found.loss, "log_loss": found.log_loss, "log_partition": log_partition},
        "corrected": {"loss": log_partition},
        "notes": [TWO_ENERGIES_NOTE, UNITS_NOTE],
    }


def inverse_loss_theory(loss: float) -> dict[str, Any]:
    """The partition functions at which Prop. 4 gives `loss`, and the consistent loss L = log Z at each."""
    both = list(proposition_4_partitions(loss))
    return {
        "paper_literal": {"loss": loss, "log_loss": math.log(loss), "log_partition": both},
        "corrected": {"loss": both},
        "notes": [_BRANCHES_NOTE, TWO_ENERGIES_NOTE, UNITS_NOTE],
    }


def _excess(u: float) -> float:
    """u + e^{−u} − 1 ≥ 0 without cancellation: u²/2! − u³/3! + … for small u."""
    if abs(u) > 0.5:
        return u + math.expm1(-u)
    term = total = u * u / 2
    k = 2
    while abs(term) > 1e-18 * total:
        k += 1
        term *= -u / k
        total += term
    return total


def _root(above: float, start: float) -> float:
    u = start
    for _ in range(100):
        slope = -math.expm1(-u)
        if slope == 0:  # L = 1: both branches meet at Z = 1
            break
        step = (_excess(u) - above) / slope
        u -= step
        if abs(step) <= 2e-16 * abs(u):
            break
    return u
