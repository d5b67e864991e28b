"""Charts of radius reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from service.contracts.radius import RadiusReport
from service.contracts.statistics import DimensionEstimates, SizePoint
from service.dashboard.charts import Chart, Mark, Series, density, estimates
from service.dashboard.rendering import number, share

DISTANCE, DENSITY = "distance to the nearest other row", "share per unit of distance"
NULL_NAMES = {
    "gaussian": "Gaussian null",
    "permutation": "permutation null",
    "elliptical": "elliptical null",
    "same_last_token": "same-last-token null",
}


def distance_chart(report: RadiusReport) -> Chart | None:
    """The distances of each fraction, those of the null models, and where the paper's formula puts them."""
    parts = [part for part in report.fractions if part.histogram is not None]
    if not parts:
        return None
    drawn = [
        density(f"{share(part.fraction)} of the rows", part.histogram, "area" if part is parts[-1] else "thin_steps")
        for part in parts
        if part.histogram is not None
    ]
    nulls = [
        density(NULL_NAMES[null.kind], null.histogram, "outline")
        for null in report.null_models or []
        if null.histogram is not None
    ]
    means = ", ".join(f"{share(p.fraction)}: {number(p.nn_distance.mean)}" for p in parts if p.nn_distance is not None)
    text = f"Distribution of nearest-neighbour distances of {report.name}. Mean by fraction of the rows: {means}."
    return Chart("distances", "Distances", DISTANCE, DENSITY, text, drawn + nulls, _theory_marks(report))


def comparison_chart(reports: Sequence[RadiusReport]) -> Chart:
    """The largest fraction of each report."""
    names = Counter(report.name for report in reports)
    drawn = [
        density(report.name if names[report.name] == 1 else f"{report.name} ({report.id[-6:]})", histogram)
        for report in reports
        if (histogram := report.fractions[-1].histogram) is not None
    ]
    text = f"Distributions of nearest-neighbour distances of {len(drawn)} reports, each with all of its rows."
    return Chart("comparison", "Distances", DISTANCE, DENSITY, text, drawn)


def dimension_chart(report: RadiusReport) -> Chart | None:
    """The intrinsic dimension over scale, of the rows and of the Gaussian null model."""
    measured = report.intrinsic_dimension
    if measured is None:
        return None
    series = [_gride("these rows", measured)]
    if measured.null is not None:
        series.append(_gride("Gaussian null", measured.null))
    text = "Gride's estimate of the intrinsic dimension over the mean distance to the 2k-th neighbour."
    title = "Intrinsic dimension over scale"
    return Chart("dimension", title, "mean distance to the 2k-th neighbour", "dimension", text, series, log_x=True)


def sample_chart(report: RadiusReport) -> Chart | None:
    """The mean distance over the number of rows, and where the fitted law extrapolates it."""
    law = report.sample_size
    if law is None or law.reason is not None:
        return None
    ahead = law.extrapolated
    measured = [_with_standard_error(point) for point in law.points]
    series = [
        Series("measured ± standard error", [p.n for p in law.points], [p.mean for p in law.points], "points", measured)
    ]
    if ahead:
        intervals = [point.interval for point in ahead]
        series.append(
            Series("extrapolated", [point.n for point in ahead], [point.mean for point in ahead], "points", intervals)
        )
    text = f"Mean nearest-neighbour distance over the number of rows; the law's exponent is 1/{number(law.dimension)}."
    return Chart("sample", "Size of the sample", "rows", "mean distance", text, series, log_x=True, log_y=True)


def _theory_marks(report: RadiusReport) -> list[Mark]:
    """The paper's and the corrected distance, where they lie among the distances."""
    edges = [edge for part in report.fractions if part.histogram is not None for edge in part.histogram.edges]
    literal, corrected = report.theory["paper_literal"], report.theory["corrected"]
    marks = [
        Mark("paper: 2√(n/2πe)", literal["nn_distance"]),
        Mark("corrected: unit volume", 2 * corrected["unit_volume_radius"]),
    ]
    return [mark for mark in marks if min(edges) <= mark.x <= max(edges)]


def _gride(name: str, found: DimensionEstimates) -> Series:
    shown = [estimate for estimate in found.gride if estimate.scale is not None]
    return estimates(name, [estimate.scale for estimate in shown], shown, "points")


def _with_standard_error(point: SizePoint) -> tuple[float, float] | None:
    if point.mean is None or point.standard_error is None:
        return None
    return point.mean - point.standard_error, point.mean + point.standard_error
