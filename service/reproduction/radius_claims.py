"""Claims that radius reports decide: A2, F1a, F1b, F1c and F1d. Each is read at every site that was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.contracts.claims import Verdict
from service.contracts.radius import FractionReport, RadiusReport
from service.contracts.reproduction import ChartCurve, ChartMark, ClaimChart, ReproductionNumber
from service.contracts.statistics import Uncertainty
from service.errors import InvalidInput
from service.reproduction.finding import Finding, Interval, between, number, shown
from service.reproduction.rules import (
    Side,
    every_interval_below_zero,
    every_interval_meets,
    relation_of_scale,
    same_at_all,
    share_above,
    side_of_one,
)
from service.theory.balls import asymptotic_unit_radius


@dataclass(frozen=True)
class HeldOut:
    """Held-out points of one site among the balls of radius NN/2 of stored patterns of other documents."""

    site: str
    share: float | None
    interval: Interval | None
    points: int
    patterns: int
    reason: str | None = None


def held_out_covered(sites: Sequence[HeldOut], level: float) -> Finding:
    """A2."""
    if not sites:
        raise InvalidInput("held-out points were not measured")
    verdicts: list[Verdict] = [share_above(found.interval, level) for found in sites]
    numbers = [
        number(
            f"{found.site}: share of {found.points:,} points in a ball of {found.patterns:,}",
            found.share,
            found.interval,
        )
        for found in sites
    ]
    marks = [
        ChartMark(label=found.site, value=found.share, interval=found.interval)
        for found in sites
        if found.share is not None
    ]
    listed = "; ".join(f"{found.site} {shown(found.share, 3)} {between(found.interval, 3)}" for found in sites)
    chart = ClaimChart(
        title="held-out points in balls",
        unit="share of points",
        marks=marks,
        reference=level,
        reference_label="tolerance",
    )
    measured, interval = (sites[0].share, sites[0].interval) if sites else (None, None)
    return Finding(
        same_at_all(verdicts),
        f"Share of held-out points in a ball: {listed}.",
        measured,
        interval,
        numbers=numbers,
        chart=chart,
    )


def distance_is(reports: Sequence[RadiusReport], printed: float, half_width: float) -> Finding:
    """F1a: means and medians of every fraction, with their intervals."""
    marks = [mark for report in reports for mark in _distance_marks(report)]
    verdicts: list[Verdict] = [
        every_interval_meets(
            [mark.interval for mark in _distance_marks(report)], printed - half_width, printed + half_width
        )
        for report in reports
    ]
    whole = [_whole(report) for report in reports]
    listed = "; ".join(f"{_site(report)} {shown(_mean(part))}" for report, part in zip(reports, whole, strict=True))
    chart = ClaimChart(
        title="distance to the nearest neighbour",
        unit="distance",
        marks=marks,
        reference=printed,
        reference_label="printed",
    )
    numbers = [number(mark.label, mark.value, mark.interval) for mark in marks]
    reason = f"Mean distance of the whole sample: {listed}."
    return Finding(
        same_at_all(verdicts), reason, _mean(whole[0]), _mean_interval(whole[0]), numbers=numbers, chart=chart
    )


def distance_falls(reports: Sequence[RadiusReport]) -> Finding:
    """F1b: the mean of the whole sample less that of each fraction, paired by documents; medians beside."""
    marks: list[ChartMark] = []
    verdicts: list[Verdict] = []
    numbers: list[ReproductionNumber] = []
    for report in reports:
        differences = [_turned(part) for part in report.fractions[:-1]]
        verdicts.append(every_interval_below_zero([interval for _, interval in differences]))
        for part, (value, interval) in zip(report.fractions[:-1], differences, strict=True):
            label = f"{_site(report)}: whole less {part.fraction:.0%}"
            if value is not None:
                marks.append(ChartMark(label=label, value=value, interval=interval))
            numbers.append(number(label, value, interval))
        numbers += [
            number(f"{_site(report)}: median at {part.fraction:.0%}", _median(part)) for part in report.fractions
        ]
    below = sum(mark.interval is not None and mark.interval[1] < 0 for mark in marks)
    reason = (
        f"{below} of {len(marks)} paired differences of the mean lie below 0 with 95 %; medians are given beside them."
    )
    chart = ClaimChart(title="whole sample less fraction", unit="distance", marks=marks, reference=0.0)
    last = marks[0] if marks else None
    return Finding(
        same_at_all(verdicts),
        reason,
        None if last is None else last.value,
        None if last is None else last.interval,
        numbers=numbers,
        chart=chart,
    )


def radius_near_unit_ball(reports: Sequence[RadiusReport], tolerance: float) -> Finding:
    """F1c: radius over √(n/2πe) as stored, with vectors of mean norm √n, and in each null model."""
    verdicts: list[Verdict] = []
    marks: list[ChartMark] = []
    numbers: list[ReproductionNumber] = []
    first_null: float | None = None
    for report in reports:
        stored, normed, nulls = _ratios(report)
        verdict = _relation(stored, normed, nulls, tolerance)
        verdicts.append(verdict)
        for label, value, interval in (stored, normed, *nulls):
            name = f"{_site(report)}: {label}"
            numbers.append(number(name, value, interval))
            marks.append(ChartMark(label=name, value=value, interval=interval))
        if first_null is None and nulls:
            first_null = nulls[0][1]
        gap = report.d_model * math.log(stored[1]) if stored[1] > 0 else None
        numbers.append(number(f"{_site(report)}: n log of that ratio, the gap in volume, nats", gap))
    labelled = [mark for mark in marks if mark.label.endswith((": as stored", ": mean norm √n"))]
    listed = "; ".join(f"{mark.label} {shown(mark.value, 3)}" for mark in labelled)
    chart = ClaimChart(title="radius over √(n/2πe)", unit="ratio", marks=marks, reference=1.0, reference_label="claim")
    reason = f"Radius over √(n/2πe): {listed}."
    return Finding(
        same_at_all(verdicts), reason, marks[0].value, marks[0].interval, first_null, numbers=numbers, chart=chart
    )


def distance_law(reports: Sequence[RadiusReport]) -> Finding:
    """F1d: the slope of log distance on log n, and the law at the sizes that were asked."""
    verdicts, marks, numbers, curves = [], [], [], []
    for report in reports:
        law = report.sample_size
        if law is None:
            raise InvalidInput("a radius report has no statistics")
        slope = None if law.dimension is None else -1 / law.dimension
        interval = None if law.interval is None else (-1 / law.interval[0], -1 / law.interval[1])
        verdicts.append(every_interval_below_zero([interval]))
        numbers.append(number(f"{_site(report)}: slope", slope, interval))
        if slope is not None:
            marks.append(ChartMark(label=_site(report), value=slope, interval=interval))
        for point in law.extrapolated:
            note = ", more than 100 times the sample" if point.far else ""
            numbers.append(number(f"{_site(report)}: distance at n = {point.n:,}{note}", point.mean, point.interval))
        measured = [(float(point.n), point.mean) for point in law.points if point.mean is not None]
        curves.append(ChartCurve(label=_site(report), x=[n for n, _ in measured], y=[mean for _, mean in measured]))
    listed = "; ".join(f"{mark.label} {shown(mark.value, 3)} {between(mark.interval, 3)}" for mark in marks)
    reason = f"Slope of log distance on log n: {listed or 'no slope could be fitted'}."
    chart = ClaimChart(title="mean distance by size of the sample", unit="distance", curves=curves, x_label="rows")
    first = marks[0] if marks else None
    return Finding(
        same_at_all(verdicts),
        reason,
        None if first is None else first.value,
        None if first is None else first.interval,
        numbers=numbers,
        chart=chart,
    )


Ratio = tuple[str, float, Interval | None]


def _ratios(report: RadiusReport) -> tuple[Ratio, Ratio, list[Ratio]]:
    """(label, ratio, interval) as stored, with vectors of mean norm √n, and of the null models as stored."""
    unit, whole = 2 * asymptotic_unit_radius(report.d_model), _whole(report)
    mean, interval = _mean(whole), _mean_interval(whole)
    if mean is None or report.scale is None:
        raise InvalidInput("a radius report has no distances")
    norm = report.scale.mean_norm
    factor = math.sqrt(report.d_model) / norm if norm > 0 else 0.0
    nulls: list[Ratio] = [
        (f"{null.kind} null", null.mean / unit, None) for null in report.null_models or [] if null.mean is not None
    ]
    return (
        ("as stored", mean / unit, _scaled(interval, 1 / unit)),
        ("mean norm √n", mean * factor / unit, _scaled(interval, factor / unit)),
        nulls,
    )


def _relation(stored: Ratio, normed: Ratio, nulls: Sequence[Ratio], tolerance: float) -> Verdict:
    def side(ratio: Ratio) -> Side:
        _, value, interval = ratio
        return side_of_one(interval or (value, value), tolerance)

    return relation_of_scale(side(stored), side(normed), [side(null) for null in nulls])


def _scaled(interval: Interval | None, factor: float) -> Interval | None:
    return None if interval is None else (interval[0] * factor, interval[1] * factor)


def _turned(part: FractionReport) -> tuple[float | None, Interval | None]:
    """The whole minus the fraction; the report has the fraction minus the whole."""
    found = part.minus_largest
    if found is None:
        return None, None
    interval = None if found.interval is None else (-found.interval[1], -found.interval[0])
    return None if found.value is None else -found.value, interval


def _distance_marks(report: RadiusReport) -> list[ChartMark]:
    marks = []
    for part in report.fractions:
        if part.nn_distance is None:
            continue
        found, at = part.nn_distance.uncertainty, f"{_site(report)} {part.fraction:.0%}"
        mean, median = (None, None) if found is None else (found.mean.interval, found.median.interval)
        marks.append(ChartMark(label=f"{at}: mean", value=part.nn_distance.mean, interval=mean))
        marks.append(ChartMark(label=f"{at}: median", value=part.nn_distance.median, interval=median))
    return marks


def _whole(report: RadiusReport) -> FractionReport:
    return report.fractions[-1]


def _uncertainty(part: FractionReport) -> Uncertainty | None:
    return None if part.nn_distance is None else part.nn_distance.uncertainty


def _mean(part: FractionReport) -> float | None:
    return None if part.nn_distance is None else part.nn_distance.mean


def _median(part: FractionReport) -> float | None:
    return None if part.nn_distance is None else part.nn_distance.median


def _mean_interval(part: FractionReport) -> Interval | None:
    found = _uncertainty(part)
    return None if found is None else found.mean.interval


def _site(report: RadiusReport) -> str:
    return report.site or report.name
