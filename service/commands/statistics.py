"""Lines of terminal output for the statistics of a radius report."""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.radius import RadiusReport
from service.contracts.statistics import (
    DocumentSplit,
    IntrinsicDimension,
    LossByDistance,
    NeighborClasses,
    NullDistances,
    SampleSize,
    ScaleUnits,
)
from service.rounding import with_error

_VERDICTS = {
    "nearer": "the data are nearer",
    "farther": "the data are farther apart",
    "not_distinguished": "the data cannot be told from it",
}


def statistics_lines(report: RadiusReport) -> Iterator[tuple[str, str]]:
    """A word and a line for each kind of statistics that the report has."""
    if report.scale is not None:
        yield "scale", _scale_line(report.scale)
        for variant in report.scale.variants:
            whole = variant.fractions[-1].nn_distance
            mean = "none" if whole is None else f"{whole.mean:.4g}"
            yield "scale", f"{variant.transform}: mean {mean}; {_scale_line(variant.scale)}"
    if report.intrinsic_dimension is not None:
        yield "dimension", _dimension_line(report.intrinsic_dimension)
    for null in report.null_models or []:
        yield "null", _null_line(null)
    if report.neighbors is not None:
        yield "neighbours", _neighbors_line(report.neighbors)
    if report.sample_size is not None:
        yield "sample size", _sample_size_line(report.sample_size)
    if report.loss is not None and report.loss.n:
        yield "loss", _loss_line(report.loss)
    if report.split is not None:
        yield "split", _split_line(report.split)
    if report.coverage is not None:
        yield "held out", _held_out_line(report)


def _scale_line(found: ScaleUnits) -> str:
    units = {
        "√(2 trΣ)": found.nn_over_sqrt_2_total_variance,
        "mean norm": found.nn_over_mean_norm,
        "√n": found.nn_over_sqrt_n,
    }
    shown = ", ".join(f"{value:.3f} of {name}" for name, value in units.items() if value is not None)
    ratio = "" if found.participation_ratio is None else f"; participation ratio {found.participation_ratio:.1f}"
    return f"NN mean is {shown}{ratio}" if shown else f"none: {found.reason}"


def _dimension_line(found: IntrinsicDimension) -> str:
    two, null = found.two_nn, found.null
    value = f"none: {two.reason or ''}" if two.value is None else with_error(two.value, two.interval, ".1f")
    scales = ", ".join(f"{each.value:.1f} at k = {each.k}" for each in found.gride if each.value is not None)
    beside = "" if null is None or null.two_nn.value is None else f"; Gaussian null {null.two_nn.value:.1f}"
    return f"TwoNN {value}{beside}" + (f"; Gride {scales}" if scales else "")


def _null_line(null: NullDistances) -> str:
    name = null.kind.replace("_", " ")
    if null.mean is None or null.observed_over_null is None:
        return f"{name}: none, {null.reason}"
    line = f"{name}: mean {null.mean:.4g}, observed over null {null.observed_over_null:.3f}"
    ratio = null.unbiased
    if ratio.value is None or ratio.interval is None or null.bias is None:
        return line
    low, high = ratio.interval
    line += f", over its bias {null.bias:.3f}: {ratio.value:.3f} [{low:.3f}, {high:.3f}]"
    return line if null.verdict is None else f"{line}: {_VERDICTS[null.verdict]}"


def _neighbors_line(found: NeighborClasses) -> str:
    parts = [
        f"{share.share:.1%} {name} (chance {share.chance:.1%})"
        for name, share in (
            ("of the same document", found.same_document),
            ("after the same token", found.same_last_token),
        )
        if share.share is not None and share.chance is not None
    ]
    if found.mutual is not None:
        parts.append(f"{found.mutual:.1%} mutual")
    if found.near_duplicates.rows is not None:
        parts.append(f"{found.near_duplicates.rows:,} near-duplicates")
    if found.hubness.skewness is not None:
        parts.append(f"hub skewness {found.hubness.skewness:.2f}")
    return ", ".join(parts)


def _sample_size_line(found: SampleSize) -> str:
    if found.dimension is None:
        return f"no law: {found.reason}"
    m = with_error(found.dimension, found.interval, ".1f")
    further = "".join(
        f"; {each.mean:.4g} [{each.interval[0]:.4g}, {each.interval[1]:.4g}] at {each.n:,} rows"
        for each in found.extrapolated
        if each.mean is not None and each.interval is not None
    )
    return f"mean ∝ n^(−1/m), m = {m}{further}"


def _loss_line(found: LossByDistance) -> str:
    correlation = found.spearman
    line = f"none: {correlation.reason}"
    if correlation.value is not None:
        ends = "" if correlation.interval is None else " [{:.3f}, {:.3f}]".format(*correlation.interval)
        line = f"Spearman's correlation with NN distance {correlation.value:.3f}{ends}"
    if found.deciles is None:
        return line
    nearest, farthest = found.deciles[0], found.deciles[-1]
    return f"{line}; mean {nearest:.3f} nats per token in the nearest tenth, {farthest:.3f} in the farthest"


def _split_line(found: DocumentSplit) -> str:
    if found.mean.value is None:
        return f"none: {found.mean.reason}"
    unit = "rows, each taken as a document" if found.rows_are_documents else "documents"
    return (
        f"mean {with_error(found.mean.value, found.mean.interval, '.4f')} of {found.queries:,} rows "
        f"({found.query_documents:,} {unit}) to {found.database:,} rows of {found.database_documents:,} others"
    )


def _held_out_line(report: RadiusReport) -> str:
    assert report.coverage is not None
    parts = []
    if report.coverage.share is not None:
        parts.append(
            f"{report.coverage.share:.1%} of {report.coverage.n:,} queries lie in the ball of their nearest row"
        )
    if report.self is not None and report.self.mean is not None:
        parts.append(f"the reference's own mean is {report.self.mean:.4f}")
    if report.rank_auc is not None and report.rank_auc.value is not None:
        parts.append(f"a query is farther with probability {report.rank_auc.value:.3f}")
    return "; ".join(parts) or f"none: {report.coverage.reason}"
