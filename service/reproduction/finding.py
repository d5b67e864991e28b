"""The finding of one claim from its numbers, before its definition and its evidence are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.contracts.claims import Verdict
from service.contracts.reproduction import ClaimChart, ReproductionNumber

Interval = tuple[float, float]
Value = float | str | None


@dataclass(frozen=True)
class Finding:
    """The verdict of a rule, one computed sentence, and the numbers behind both."""

    verdict: Verdict
    reason: str
    measured: float | None = None
    interval: Interval | None = None
    null: float | None = None
    numbers: Sequence[ReproductionNumber] = ()
    chart: ClaimChart | None = None


def number(name: str, value: Value, interval: Interval | None = None) -> ReproductionNumber:
    """A line of the claim's table."""
    return ReproductionNumber(name=name, value=value, interval=interval)


def shown(value: float | None, digits: int = 4) -> str:
    """A number in a sentence."""
    return "unknown" if value is None else f"{value:.{digits}g}"


def between(interval: Interval | None, digits: int = 4) -> str:
    """An interval in a sentence."""
    return "no interval" if interval is None else f"[{interval[0]:.{digits}g}, {interval[1]:.{digits}g}]"
