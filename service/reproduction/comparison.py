"""Two reports side by side: which verdicts changed, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

from service.contracts.reproduction import ClaimResult, ReproductionReport


@dataclass(frozen=True)
class ClaimChange:
    """One claim in both reports; None where a report does not have it, or has no number.

    Attributes:
        before, after: the verdicts.
        difference: the measured number after minus the one before.
    """

    claim: str
    before: str | None
    after: str | None
    measured_before: float | None
    measured_after: float | None
    difference: float | None

    @property
    def verdict_changed(self) -> bool:
        """Whether the verdicts differ."""
        return self.before != self.after


def compare(before: ReproductionReport, after: ReproductionReport) -> list[ClaimChange]:
    """Every claim of either report, those of `after` first."""
    old, new = ({claim.id: claim for claim in report.claims} for report in (before, after))
    return [_change(name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])]


def _change(name: str, before: ClaimResult | None, after: ClaimResult | None) -> ClaimChange:
    first, second = (None if claim is None else claim.measured for claim in (before, after))
    return ClaimChange(
        name,
        None if before is None else before.verdict,
        None if after is None else after.verdict,
        first,
        second,
        None if first is None or second is None else second - first,
    )
