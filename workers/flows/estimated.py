"""An estimate of the statistics as reports have it."""

from __future__ import annotations

from dataclasses import asdict

from service.contracts.statistics import Estimated
from workers.statistics.estimate import Estimate


def estimated(found: Estimate) -> Estimated:
    """The value with its error and interval, or the reason why there is none."""
    return Estimated(**asdict(found))
