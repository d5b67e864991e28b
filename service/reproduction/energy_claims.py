"""Claims that energy reports decide: P1, P2, P3, D1 and A3."""

from __future__ import annotations

from collections.abc import Sequence

from service.contracts.descent_report import BlockReport, DescentReport
from service.contracts.energy import HeldBound, Propositions
from service.contracts.energy_report import EnergyReport, LayerEnergies
from service.contracts.reproduction import ChartMark, ClaimChart, ReproductionNumber
from service.errors import InvalidInput
from service.reproduction.finding import Finding, number, shown
from service.reproduction.rules import (
    corrected_bound_instead,
    every_block_better,
    same_at_all,
    stored_share,
    without_violation,
)

_BETTER = "nearer than every null"


def proposition(reports: Sequence[EnergyReport], which: int) -> Finding:
    """P1, P2 or P3 over every point of every layer, as printed and corrected."""
    numbers: list[ReproductionNumber] = []
    printed = corrected = points = 0
    for report, layer in _layers(reports):
        literal, right = (_bound(side, which) for side in (layer.bounds.paper_literal, layer.bounds.corrected))
        points += report.points
        printed += _violations(literal, report.points)
        corrected += _violations(right, report.points)
        numbers.append(number(f"{_place(layer)}: share that violates the printed bound", literal.failed_share))
        numbers.append(number(f"{_place(layer)}: share that violates the corrected bound", right.failed_share))
        numbers.append(number(f"{_place(layer)}: Δ", layer.bounds.spread))
    verdict = corrected_bound_instead(printed, corrected) if which == 3 else without_violation(printed)
    reason = f"{printed:,} of {points:,} points violate the printed bound, {corrected:,} the corrected one."
    marks = [
        ChartMark(label=_place(layer), value=_bound(layer.bounds.paper_literal, which).failed_share)
        for _, layer in _layers(reports)
    ]
    chart = ClaimChart(
        title="points that violate the printed bound", unit="share of points", marks=marks, reference=0.0
    )
    return Finding(verdict, reason, float(printed), numbers=numbers, chart=chart)


def blocks_search(report: EnergyReport) -> Finding:
    """D1: the verdict of every block against its best null step."""
    descent = report.descent
    if descent is None:
        raise InvalidInput(f"blocks were not measured: {report.descent_reason}")
    verdicts = [_of_block(block) for block in descent.blocks]
    counts = {name: verdicts.count(name) for name in ("better", "not_told_apart", "worse")}
    reason = (
        f"Of {len(verdicts)} blocks {counts['better']} are better than every null step, {counts['not_told_apart']} are "
        f"not told apart from one, {counts['worse']} are worse than one."
    )
    numbers = [
        number(f"block {block.layer}: {block.verdict or block.verdict_reason}", block.block.decrease_share)
        for block in descent.blocks
    ]
    share = counts["better"] / len(verdicts) if verdicts else None
    return Finding(every_block_better(verdicts), reason, share, numbers=numbers, chart=_block_chart(descent))


def patterns_stored(reports: Sequence[EnergyReport], level: float) -> Finding:
    """A3: the certificate of Definition 1 for the patterns of every site, and the basin test beside it."""
    numbers, marks, verdicts, shares = [], [], [], []
    for _, layer in _layers(reports):
        if layer.storage is None:
            raise InvalidInput("an energy report has no storage certificate")
        place, share = _place(layer), layer.storage.certified_share
        shares.append(share)
        verdicts.append(stored_share(share, level))
        numbers.append(number(f"{place}: share with a ball that provably attracts", share))
        numbers.append(number(f"{place}: that ball over half the distance, mean", layer.storage.share_of_half_distance))
        if layer.basins is not None:
            numbers.append(number(f"{place}: share whose fixed point lies in its ball", layer.basins.stored_share))
        marks.append(ChartMark(label=place, value=share))
    reason = (
        f"From {shown(100 * min(shares), 3)} to {shown(100 * max(shares), 3)} % of the patterns are stored, by site."
    )
    chart = ClaimChart(
        title="stored patterns", unit="share of patterns", marks=marks, reference=level, reference_label="tolerance"
    )
    return Finding(same_at_all(verdicts), reason, min(shares), numbers=numbers, chart=chart)


def _layers(reports: Sequence[EnergyReport]) -> list[tuple[EnergyReport, LayerEnergies]]:
    return [(report, layer) for report in reports for layer in report.layers]


def _bound(side: Propositions, which: int) -> HeldBound:
    return (side.proposition_1, side.proposition_2, side.proposition_3)[which - 1]


def _violations(bound: HeldBound, points: int) -> int:
    return round(bound.failed_share * points)


def _place(layer: LayerEnergies) -> str:
    return layer.site or layer.name


def _of_block(block: BlockReport) -> str:
    if block.verdict == _BETTER:
        return "better"
    return "worse" if block.verdict is not None and block.verdict.startswith("worse") else "not_told_apart"


def _block_chart(descent: DescentReport) -> ClaimChart:
    marks = []
    for block in descent.blocks:
        for null in block.nulls or []:
            found = null.block_minus_null.g_decreases
            if null.kind == block.best_null and found.value is not None:
                label = f"block {block.layer} less {null.kind.replace('_', ' ')}"
                marks.append(ChartMark(label=label, value=found.value, interval=found.interval))
    return ClaimChart(
        title="points that come nearer: block less best null", unit="share of points", marks=marks, reference=0.0
    )
