"""Fields of a radius report, from distances: arrays in, contracts out, no I/O."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from service.contracts.activations import ActivationStatistics
from service.contracts.base import Notice
from service.contracts.radius import (
    QUANTILES,
    Approximation,
    Centre,
    Counts,
    CountsWithin,
    Distribution,
    FractionReport,
    NearestDistribution,
    NeighborsWithin,
    NullFraction,
    NullModel,
    RadiusSpec,
)
from service.contracts.statistics import Histogram
from service.theory.histograms import histogram_counts, tailed_edges
from workers.flows.estimated import estimated
from workers.flows.radius.statistics import FractionErrors
from workers.flows.radius.statistics_fields import median_difference_field, uncertainty_of, uncertainty_off
from workers.neighbors.answers import Neighbors
from workers.neighbors.approximation import Approximation as Measured
from workers.neighbors.null_model import GaussianNull
from workers.neighbors.statistics import nearest_statistics

Array = np.ndarray
_BINS = 60
_MASSIVE_SHARE, _FEW_DIMENSIONS = 0.5, 8  # five of so few dimensions always hold most of the norm
_FEW_ROWS = 100


def fraction_reports(
    fractions: list[float],
    found: list[Neighbors],
    sizes: list[int],
    measured: list[Measured | None],
    errors: FractionErrors | None,
) -> list[FractionReport]:
    """One report per fraction, with histograms over the same edges; distances far above the others are in one bin.

    Args:
        sizes: rows of each fraction.
        errors: None where no statistics were asked for.
    """
    samples = [part.distances[:, 0] for part in found]
    edges = tailed_edges(samples, _BINS)
    parts = zip(fractions, samples, sizes, measured, strict=True)
    return [_fraction_report(at, *part, edges, errors) for at, part in enumerate(parts)]


def _fraction_report(
    at: int,
    fraction: float,
    distances: Array,
    n: int,
    measured: Measured | None,
    edges: Array,
    errors: FractionErrors | None,
) -> FractionReport:
    statistics = nearest_statistics(distances, QUANTILES)
    uncertainty = uncertainty_off(distances) if errors is None else uncertainty_of(errors, at)
    difference = None if errors is None else errors.differences[at]
    of_median = None if errors is None else errors.median_differences[at]
    reason = None
    if statistics.all is None:
        reason = "fewer than 2 rows" if n < 2 else "exclude leaves no other row"
    whole = statistics.all
    return FractionReport(
        fraction=fraction,
        n=n,
        nn_distance=None if whole is None else NearestDistribution(**asdict(whole), uncertainty=uncertainty),
        minus_largest=None if difference is None else estimated(difference),
        median_minus_largest=None if of_median is None else median_difference_field(of_median),
        nn_distance_distinct=None if statistics.distinct is None else Distribution(**asdict(statistics.distinct)),
        radius=None if whole is None else Centre(mean=whole.mean / 2, median=whole.median / 2),
        duplicates=statistics.duplicates,
        without_neighbor=statistics.alone,
        histogram=None if whole is None else Histogram(edges=edges.tolist(), counts=histogram_counts(distances, edges)),
        reason=reason,
        approximation=None if measured is None else Approximation(**asdict(measured)),
    )


def counts_report(radii: list[float], counts: Array, codes: Array | None) -> Counts:
    """Counts within radii, of (n, radii) `counts` per row; `codes` are the document codes of these rows."""
    n = len(counts)
    if not n:
        return Counts(n=0, admissible_pairs=0, radii=[])
    admissible = n * (n - 1) // 2
    if codes is not None:
        _, sizes = np.unique(codes, return_counts=True)
        admissible = (n * n - int((sizes.astype(np.int64) ** 2).sum())) // 2
    return Counts(
        n=n,
        admissible_pairs=admissible,
        radii=[_counts_within(r, counts[:, at], admissible) for at, r in enumerate(radii)],
    )


def _counts_within(radius: float, counts: Array, admissible: int) -> CountsWithin:
    pairs = int(counts.sum()) // 2
    within = NeighborsWithin(
        mean=float(counts.mean()),
        median=float(np.median(counts)),
        std=float(counts.std()),
        min=int(counts.min()),
        max=int(counts.max()),
        quantiles={f"{q:g}": float(value) for q, value in zip(QUANTILES, np.quantile(counts, QUANTILES), strict=True)},
        rows_without=int((counts == 0).sum()),
    )
    return CountsWithin(radius=radius, pairs=pairs, share=pairs / admissible if admissible else None, neighbors=within)


def null_report(null: GaussianNull, fractions: list[FractionReport]) -> NullModel:
    """The null model, and the ratio of the observed mean distance to its own."""
    parts = []
    for observed, distances in zip(fractions, null.distances, strict=True):
        centre = Centre(mean=float(distances.mean()), median=float(np.median(distances))) if len(distances) else None
        ratio = None
        if centre is not None and centre.mean > 0 and observed.nn_distance is not None:
            ratio = observed.nn_distance.mean / centre.mean
        parts.append(
            NullFraction(fraction=observed.fraction, n=observed.n, nn_distance=centre, observed_over_null=ratio)
        )
    return NullModel(kind="gaussian", queries=len(null.distances[-1]), rank=null.rank, fractions=parts)


def report_warnings(
    spec: RadiusSpec,
    statistics: ActivationStatistics,
    fractions: list[FractionReport],
    no_documents: bool,
    query_rows: int | None,
    d_model: int,
) -> list[Notice]:
    """Warnings about the numbers; `query_rows` is the number of queries where they were searched in another set."""
    found = []
    whole = fractions[-1]
    if statistics.top5_share > _MASSIVE_SHARE and d_model > _FEW_DIMENSIONS:
        found.append(
            Notice(
                code="massive_dimensions",
                message=f"five of the {d_model:,} dimensions hold {statistics.top5_share:.0%} of the squared norm; the "
                f"five that vary most hold {statistics.top5_variance_share:.0%} of the variance, on which L2 distances "
                "depend",
            )
        )
    if whole.duplicates:
        rows = whole.n if query_rows is None else query_rows
        share = whole.duplicates / rows
        found.append(
            Notice(
                code="duplicates",
                message=f"{whole.duplicates} of {rows} rows ({share:.1%}) equal another row; "
                "nn_distance counts their zeros, nn_distance_distinct does not",
            )
        )
    if fractions[0].n < _FEW_ROWS:
        found.append(
            Notice(code="few_rows", message=f"the smallest fraction has {fractions[0].n} rows; its figures are noisy")
        )
    if spec.exclude == "same_document" and no_documents:
        found.append(Notice(code="no_documents", message="a set has no documents; none was excluded"))
    return found
