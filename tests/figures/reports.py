"""Radius reports made of distances, without a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.contracts.base import now
from service.contracts.radius import (
    Centre,
    FractionReport,
    NearestDistribution,
    NullFraction,
    NullModel,
    RadiusReport,
)
from service.contracts.statistics import (
    Estimated,
    Extrapolated,
    GrideDimension,
    Histogram,
    IntrinsicDimension,
    MeanUncertainty,
    MedianUncertainty,
    NullDistances,
    NullKind,
    SampleSize,
    SizePoint,
    TwoNNDimension,
    Uncertainty,
)
from service.theory.histograms import histogram_counts, tailed_edges
from service.theory.radius import report_theory

Array = np.ndarray
NULLS: tuple[NullKind, ...] = ("gaussian", "permutation", "elliptical", "same_last_token")


def gamma(seed: int, n: int, mean: float) -> Array:
    """Distances of a skewed distribution of that mean."""
    return np.random.default_rng(seed).gamma(16, mean / 16, n)


def report_of(distances: Array, fractions: tuple[float, ...] = (0.5, 1.0), **fields: Any) -> RadiusReport:
    """A report without statistics; `fields` replace its own, `error` is that of the means."""
    n, error = len(distances), fields.pop("error", None)
    prefixes = [distances[: round(fraction * n)] for fraction in fractions]
    edges = tailed_edges(prefixes, 60)
    null = NullFraction(fraction=1, n=n, nn_distance=Centre(mean=12, median=12), observed_over_null=None)
    parts = {
        "id": "radius_1", "job": "job_1", "activations": "act_1", "site": "final_norm_out", "name": "a model, a corpus",
        "n": n, "d_model": 64, "engine": "exact", "exclude": "self", "certified_fraction": 1,
        "fractions": [_fraction(*pair, edges, error) for pair in zip(fractions, prefixes, strict=True)],
        "theory": report_theory(64, max(n, 1), None),
        "warnings": [], "timing": {}, "provenance": {}, "created_at": now(),
        "null_model": NullModel(kind="gaussian", queries=n, rank=64, fractions=[null]),
    }  # fmt: skip
    return RadiusReport.model_validate(parts | fields)


def _fraction(fraction: float, distances: Array, edges: Array, error: float | None) -> FractionReport:
    shared: dict[str, Any] = {"fraction": fraction, "n": len(distances), "nn_distance_distinct": None, "radius": None}
    if not len(distances):
        return FractionReport(nn_distance=None, duplicates=0, histogram=None, reason="fewer than 2 rows", **shared)
    mean, median = float(distances.mean()), float(np.median(distances))
    found = NearestDistribution(
        mean=mean, median=median, std=0, min=distances.min(), max=distances.max(), quantiles={},
        uncertainty=None if error is None else _uncertainty(mean, error),
    )  # fmt: skip
    duplicates = int((distances == 0).sum())
    histogram = Histogram(edges=edges.tolist(), counts=histogram_counts(distances, edges))
    return FractionReport(nn_distance=found, duplicates=duplicates, histogram=histogram, **shared)


def _uncertainty(mean: float, error: float) -> Uncertainty:
    interval = (mean - error, mean + error)
    return Uncertainty(
        mean=MeanUncertainty(standard_error=error / 2, interval=interval, method="document_jackknife"),
        median=MedianUncertainty(interval=None, method="document_jackknife_order"),
        row_standard_error=None, documents=10, rows_are_documents=False,
    )  # fmt: skip


def null_of(kind: NullKind, distances: Array | None) -> NullDistances:
    """A null model; without distances one that has a mean of 11 and no histogram."""
    histogram, mean = None, 11.0
    if distances is not None:
        edges = tailed_edges([distances], 60)
        histogram = Histogram(edges=edges.tolist(), counts=histogram_counts(distances, edges))
        mean = float(distances.mean())
    unbiased = Estimated(value=0.9, standard_error=0.01, interval=(0.88, 0.92))
    return NullDistances(
        kind=kind, mean=mean, median=mean, standard_error=0.1, observed_over_null=0.9, interval=(0.88, 0.92), bias=1,
        unbiased=unbiased, verdict="nearer", n=100, queries=100, draws=5, histogram=histogram,
    )  # fmt: skip


def dimension(value: float | None = 9.0, null: IntrinsicDimension | None = None) -> IntrinsicDimension:
    """Gride at scales 10, 20, 40 with intervals ± 1 but at the last; all None with a reason where the value is None."""
    if value is None:
        missing: dict[str, Any] = {"value": None, "standard_error": None, "interval": None, "reason": "too few rows"}
        gride = [GrideDimension(k=1, scale=None, n=0, **missing)]
        two = TwoNNDimension(regression=None, row_standard_error=None, n=0, **missing)
        return IntrinsicDimension(two_nn=two, mle=[], gride=gride, duplicates_left_out=0, null=null)
    known: dict[str, Any] = {"value": value, "standard_error": 0.5, "interval": (value - 1, value + 1)}
    gride = [GrideDimension(k=k, scale=10.0 * k, n=100, **known) for k in (1, 2)]
    gride.append(GrideDimension(k=4, scale=40, n=100, value=value, standard_error=None, interval=None, reason="short"))
    two = TwoNNDimension(regression=value, row_standard_error=0.5, n=100, **known)
    return IntrinsicDimension(two_nn=two, mle=[], gride=gride, duplicates_left_out=0, null=null)


def sample_size(m: float | None = 10.0, further: tuple[int, ...] = (10**6,)) -> SampleSize:
    """Means 20·n^(−1/m) with errors of 1 %; without m one point and no law."""
    sizes = (400, 200, 100) if m is not None else (400,)
    law = [20 * n ** (-1 / (m or 10)) for n in (*sizes, *further)]
    points = [SizePoint(n=n, mean=mean, standard_error=mean / 100) for n, mean in zip(sizes, law, strict=False)]
    beyond = [
        Extrapolated(n=n, mean=mean, interval=(0.9 * mean, 1.1 * mean), far=True)
        for n, mean in zip(further, law[len(sizes) :], strict=True)
    ]
    return SampleSize(
        points=points, dimension=m, standard_error=None, interval=None, extrapolated=beyond if m else [],
        reason=None if m else "too few points",
    )  # fmt: skip


def full_report(distances: Array, **fields: Any) -> RadiusReport:
    """A report with all statistics that are drawn."""
    nulls = [null_of(kind, gamma(at, 500, 11 + at)) for at, kind in enumerate(NULLS)]
    known = {"null_models": nulls, "intrinsic_dimension": dimension(null=dimension(15.0)), "sample_size": sample_size()}
    return report_of(distances, **{"error": 0.14, "statistics_reason": None} | known | fields)
