"""Fields of a radius report that its statistics give: frozen dataclasses in, contracts out, no I/O."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import numpy as np

from service.contracts.radius import Centre, Scale, ScaleVariant, VariantFraction
from service.contracts.statistics import (
    STATISTICS_OFF,
    CoverageShare,
    DimensionEstimates,
    DocumentSplit,
    Extrapolated,
    GrideDimension,
    Histogram,
    IntrinsicDimension,
    LikelihoodDimension,
    LossByDistance,
    MeanUncertainty,
    MedianDifference,
    MedianUncertainty,
    NeighborClasses,
    NullDistances,
    RankAUC,
    SampleSize,
    ScaleUnits,
    SelfDistance,
    SizePoint,
    TwoNNDimension,
    Uncertainty,
)
from service.theory.histograms import histogram_counts, tailed_edges
from workers.flows.estimated import estimated
from workers.flows.radius.nulls import MeasuredNull
from workers.flows.radius.statistics import FractionErrors, Split, Variant
from workers.neighbors.statistics import nearest_statistics
from workers.statistics import intrinsic_dimension as dimension
from workers.statistics import loss, mean_and_median, scale
from workers.statistics.coverage import Coverage
from workers.statistics.estimate import Estimate
from workers.statistics.mean_and_median import MEAN_METHOD, MEDIAN_METHOD, row_error
from workers.statistics.neighborhood import Neighborhood
from workers.statistics.null_models import EllipticalRows, GaussianRows, NullModel, SameTokenRows
from workers.statistics.sample_size import ShrinkLaw

Array = np.ndarray
_BINS = 60


def uncertainty_of(errors: FractionErrors, at: int) -> Uncertainty:
    """The uncertainty of one fraction as a field."""
    found = errors.uncertainties[at]
    mean, median = found.mean, found.median
    return Uncertainty(
        mean=MeanUncertainty(
            standard_error=mean.standard_error,
            interval=mean.interval,
            method="document_clusters" if errors.of_queries else MEAN_METHOD,
            reason=mean.reason,
        ),
        median=MedianUncertainty(
            interval=median.interval,
            method="document_clusters_order" if errors.of_queries else MEDIAN_METHOD,
            reason=median.reason,
        ),
        row_standard_error=found.row_standard_error,
        documents=found.documents,
        rows_are_documents=not errors.documents_known,
    )


def uncertainty_off(distances: Array) -> Uncertainty:
    """The uncertainty without statistics: the error as if rows were independent."""
    return Uncertainty(
        mean=MeanUncertainty(standard_error=None, interval=None, method=MEAN_METHOD, reason=STATISTICS_OFF),
        median=MedianUncertainty(interval=None, method=MEDIAN_METHOD, reason=STATISTICS_OFF),
        row_standard_error=row_error(distances[np.isfinite(distances)]),
        documents=None,
        rows_are_documents=None,
    )


def median_difference_field(found: mean_and_median.MedianDifference) -> MedianDifference:
    """The difference of a fraction's median from that of the largest, as a field."""
    return MedianDifference(value=found.value, pooled_median=found.pooled, shares=estimated(found.shares))


def split_field(found: Split) -> DocumentSplit:
    """Half of the documents among the other half."""
    error = found.uncertainty
    return DocumentSplit(
        queries=found.queries,
        query_documents=error.documents,
        database=found.database,
        database_documents=found.database_documents,
        mean=estimated(error.mean),
        median=estimated(error.median),
        row_standard_error=error.row_standard_error,
        rows_are_documents=not found.documents_known,
    )


def dimension_field(
    found: dimension.IntrinsicDimension, null: dimension.IntrinsicDimension | None
) -> IntrinsicDimension:
    """The dimension, and that of a draw of the Gaussian null."""
    return IntrinsicDimension(**dict(_dimensions(found)), null=None if null is None else _dimensions(null))


def _dimensions(found: dimension.IntrinsicDimension) -> DimensionEstimates:
    two = found.two_nn
    return DimensionEstimates(
        two_nn=TwoNNDimension(
            **asdict(two.estimate), regression=two.regression, row_standard_error=two.row_standard_error, n=two.n
        ),
        mle=[LikelihoodDimension(**asdict(each.estimate), k=each.k, n=each.n) for each in found.mle],
        gride=[GrideDimension(**asdict(each.estimate), k=each.k, scale=each.scale, n=each.n) for each in found.gride],
        duplicates_left_out=found.duplicates_left_out,
    )


def null_field(null: MeasuredNull, observed: Estimate, n: int, draws: int, queries: int) -> NullDistances:
    """One null model beside the observed mean, which has its error by documents."""
    found, missing = null.found, Estimate.missing(null.reason or "")
    if found is None:
        return NullDistances(
            kind=null.kind, mean=None, median=None, standard_error=None, observed_over_null=None, interval=None,
            bias=None, unbiased=estimated(missing), verdict=None, n=n, queries=0, draws=0, histogram=None,
            reason=null.reason,
        )  # fmt: skip
    scaled = _over(observed, null.unit)
    ratio, unbiased = found.ratio(scaled), found.unbiased_ratio(scaled)
    distances = found.distances * null.unit
    edges = tailed_edges([distances], _BINS)
    summary = nearest_statistics(distances, []).all
    return NullDistances(
        kind=null.kind,
        mean=found.mean * null.unit,
        median=None if summary is None else summary.median,
        standard_error=found.standard_error * null.unit,
        observed_over_null=ratio.value,
        interval=ratio.interval,
        bias=found.bias,
        unbiased=estimated(unbiased),
        verdict=_verdict(unbiased),
        n=n,
        queries=min(n, queries),
        draws=draws,
        shrinkage=_shrinkage(null.model),
        alone_share=null.model.alone_share if isinstance(null.model, SameTokenRows) else None,
        histogram=Histogram(edges=edges.tolist(), counts=histogram_counts(distances, edges)),
        reason=ratio.reason,
    )


def _over(found: Estimate, unit: float) -> Estimate:
    """The estimate in that unit."""
    if found.value is None or found.standard_error is None or found.interval is None:
        return found if found.value is None else Estimate.alone(found.value / unit, found.reason or "")
    low, high = found.interval
    return Estimate(found.value / unit, found.standard_error / unit, (low / unit, high / unit))


def _verdict(unbiased: Estimate) -> Literal["nearer", "farther", "not_distinguished"] | None:
    if unbiased.interval is None:
        return None
    low, high = unbiased.interval
    return "nearer" if high < 1 else "farther" if low > 1 else "not_distinguished"


def _shrinkage(model: NullModel | None) -> float | None:
    if isinstance(model, GaussianRows | EllipticalRows):
        return model.covariance.shrinkage
    return model.within.shrinkage if isinstance(model, SameTokenRows) else None


def neighbors_field(found: Neighborhood) -> NeighborClasses:
    """The classes of the neighbours, as a field."""
    return NeighborClasses.model_validate(asdict(found))


def scale_field(found: scale.Scale, variants: list[Variant], fractions: list[float]) -> Scale:
    """The scale of the rows, and of transformed ones."""
    return Scale(**asdict(found), variants=[_variant(each, fractions) for each in variants])


def _variant(found: Variant, fractions: list[float]) -> ScaleVariant:
    parts = []
    for fraction, part in zip(fractions, found.parts, strict=True):
        whole = nearest_statistics(part.distances[:, 0], []).all
        centre = None if whole is None else Centre(mean=whole.mean, median=whole.median)
        parts.append(VariantFraction(fraction=fraction, n=len(part.rows), nn_distance=centre))
    return ScaleVariant(transform=found.name, d_model=found.d, fractions=parts, scale=ScaleUnits(**asdict(found.scale)))


def sample_size_field(found: ShrinkLaw) -> SampleSize:
    """The law of the mean distance over the number of rows."""
    m = found.dimension
    return SampleSize(
        points=[
            SizePoint(
                n=point.n, mean=point.mean.value, standard_error=point.mean.standard_error, reason=point.mean.reason
            )
            for point in found.points
        ],
        dimension=m.value,
        standard_error=m.standard_error,
        interval=m.interval,
        extrapolated=[
            Extrapolated(n=each.n, mean=each.mean.value, interval=each.mean.interval, far=each.far)
            for each in found.extrapolated
        ],
        reason=m.reason,
    )


def loss_field(found: loss.LossByDistance) -> LossByDistance:
    """Losses by distance."""
    deciles = None if found.deciles is None else list(found.deciles)
    return LossByDistance(spearman=estimated(found.spearman), deciles=deciles, n=found.n, reason=found.reason)


def coverage_fields(found: Coverage) -> tuple[CoverageShare, SelfDistance, RankAUC]:
    """Held-out points: `coverage`, `self` and `rank_auc`."""
    share, own, auc = found.share, found.self_mean, found.rank_auc
    return (
        CoverageShare(share=share.value, interval=share.interval, n=found.n, reason=share.reason),
        SelfDistance(mean=own.value, interval=own.interval, reason=own.reason),
        RankAUC(value=auc.value, interval=auc.interval, reason=auc.reason),
    )
