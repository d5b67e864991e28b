"""The rules that turn numbers into verdicts. A changed comparison or tolerance breaks a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.contracts.claims import Verdict

Interval = tuple[float, float]
Side = Literal["within", "above", "below", "across"]
_OF_SIDE: dict[Side, Verdict] = {
    "within": "reproduced",
    "above": "contradicted",
    "below": "contradicted",
    "across": "not_at_this_scale",
}


def without_violation(violations: int) -> Verdict:
    """P1, P2: a bound that has to hold at every point."""
    return "reproduced" if violations == 0 else "contradicted"


def corrected_bound_instead(printed: int, corrected: int) -> Verdict:
    """P3: violations of the printed bound, and of the corrected one; where that fails too the numbers are in doubt."""
    if printed == 0:
        return "reproduced"
    return "contradicted" if corrected == 0 else "not_identifiable"


def equal_counts(counts: Sequence[Sequence[int]]) -> Verdict:
    """E1: the numbers of attractors of the energies that are compared, for each set of patterns."""
    return "reproduced" if all(len(set(of_set)) == 1 for of_set in counts) else "contradicted"


def within(differences: Sequence[float], tolerance: float) -> Verdict:
    """Q12, Q14, AE, U1, F1e, F2a, G1: every difference is at most the tolerance."""
    return "reproduced" if all(abs(difference) <= tolerance for difference in differences) else "contradicted"


def every_block_better(verdicts: Sequence[str]) -> Verdict:
    """D1: of each block "better", "worse" or "not_told_apart" from its best null step."""
    if not verdicts:
        return "not_at_this_scale"
    if all(verdict == "better" for verdict in verdicts):
        return "reproduced"
    return "contradicted" if "worse" in verdicts else "not_identifiable"


def share_above(interval: Interval | None, level: float) -> Verdict:
    """A2: the interval of a share against a level."""
    if interval is None:
        return "not_at_this_scale"
    if interval[0] > level:
        return "reproduced"
    return "contradicted" if interval[1] < level else "not_at_this_scale"


def stored_share(share: float, level: float) -> Verdict:
    """A3: the share of stored patterns."""
    return "reproduced" if share > level else "contradicted"


def every_interval_meets(intervals: Sequence[Interval | None], low: float, high: float) -> Verdict:
    """F1a: every interval has a value from `low` to `high`."""
    given = [interval for interval in intervals if interval is not None]
    if not given or len(given) < len(intervals):
        return "not_at_this_scale"
    return "reproduced" if all(end[0] <= high and end[1] >= low for end in given) else "contradicted"


def every_interval_below_zero(intervals: Sequence[Interval | None]) -> Verdict:
    """F1b, F1d: every interval lies below 0; contradicted as soon as one lies above."""
    given = [interval for interval in intervals if interval is not None]
    if any(interval[0] > 0 for interval in given):
        return "contradicted"
    if not given or len(given) < len(intervals):
        return "not_at_this_scale"
    return "reproduced" if all(interval[1] < 0 for interval in given) else "not_at_this_scale"


def side_of_one(interval: Interval, tolerance: float) -> Side:
    """F1c in one unit: the interval of radius over √(n/2πe) against 1 ± the tolerance."""
    low, high = 1 - tolerance, 1 + tolerance
    if interval[0] >= low and interval[1] <= high:
        return "within"
    if interval[0] > high:
        return "above"
    return "below" if interval[1] < low else "across"


def relation_of_scale(as_stored: Side, as_normed: Side, nulls: Sequence[Side]) -> Verdict:
    """F1c: the relation in two units of the vectors, and of null models in the unit as stored."""
    if as_stored == "within" and "within" in nulls:
        return "not_identifiable"
    if as_stored != as_normed:
        return "not_identifiable"
    return _OF_SIDE[as_stored]


def never_below(ends: Sequence[tuple[float, float]], limit: float, errors: float) -> Verdict:
    """F2b: (loss at the end, its standard error) of the controls against the least loss that is claimed."""
    return "contradicted" if any(loss + errors * error < limit for loss, error in ends) else "reproduced"


def exponent_two(interval: Interval | None) -> Verdict:
    """F3b: the interval holds 2 and excludes 1."""
    if interval is None:
        return "not_at_this_scale"
    if not interval[0] <= 2 <= interval[1]:
        return "contradicted"
    return "not_identifiable" if interval[0] <= 1 else "reproduced"


def readings_agree(exponents: Sequence[float], span: float) -> Verdict:
    """F3c: exponents of one table under all its readings."""
    if max(exponents) - min(exponents) > span:
        return "not_identifiable"
    return "reproduced" if min(exponents) <= 2 <= max(exponents) else "contradicted"


def range_below(values: Sequence[float], limit: float) -> Verdict:
    """G2: largest less least of five values or more."""
    if len(values) < 5:
        return "not_at_this_scale"
    return "reproduced" if max(values) - min(values) < limit else "contradicted"


def losses_agree(losses: Sequence[float], laws: Sequence[Sequence[float]], floor: float, tolerance: float) -> Verdict:
    """T2: every loss is above the floor, and within the tolerance, relative, of one of its laws."""
    for loss, predicted in zip(losses, laws, strict=True):
        if loss <= floor or all(abs(loss - law) > tolerance * law for law in predicted):
            return "contradicted"
    return "reproduced"


def cells_agree(
    cells: Sequence[tuple[float, float | None]], optima: Sequence[tuple[float, float | None]], tolerance: float
) -> Verdict:
    """F3a: (printed, measured) of every cell, and of every D*."""
    if any(measured is None for _, measured in cells):
        return "not_at_this_scale"
    alike = all(measured is not None and abs(measured - printed) <= tolerance for printed, measured in cells)
    return "reproduced" if alike and all(printed == found for printed, found in optima) else "contradicted"


def same_at_all(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all readings of the paper; where they differ, the claim depends on the reading."""
    return verdicts[0] if len(set(verdicts)) == 1 else "not_identifiable"
