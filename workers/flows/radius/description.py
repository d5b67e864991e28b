"""The statistics of a radius report as its fields, and the warnings that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.contracts.activations import ActivationStatistics
from service.contracts.base import Notice
from service.contracts.radius import LISTED, FractionReport, Scale
from service.contracts.statistics import (
    STATISTICS_OFF,
    CoverageShare,
    DocumentSplit,
    IntrinsicDimension,
    LossByDistance,
    NeighborClasses,
    NullDistances,
    RankAUC,
    SampleSize,
    SelfDistance,
)
from workers.flows.radius.notices import dominating_row, extrapolation_notices, neighbor_notices, null_notices
from workers.flows.radius.nulls import measure_nulls, null_dimension
from workers.flows.radius.statistics import FractionErrors, SetStatistics
from workers.flows.radius.statistics_fields import (
    coverage_fields,
    dimension_field,
    loss_field,
    neighbors_field,
    null_field,
    sample_size_field,
    scale_field,
    split_field,
)
from workers.neighbors.null_model import GaussianNull
from workers.statistics import intrinsic_dimension
from workers.statistics.estimate import Estimate
from workers.statistics.scale import scale

_IN_REFERENCE = "the rows are searched in another set"


@dataclass(frozen=True)
class Description:
    """The fields of the report that have these names; `self_distance` is its `self`."""

    scale: Scale
    statistics_reason: str | None
    split: DocumentSplit | None = None
    null_models: list[NullDistances] | None = None
    coverage: CoverageShare | None = None
    self_distance: SelfDistance | None = None
    rank_auc: RankAUC | None = None
    intrinsic_dimension: IntrinsicDimension | None = None
    neighbors: NeighborClasses | None = None
    loss: LossByDistance | None = None
    sample_size: SampleSize | None = None

    def fields(self) -> dict[str, Any]:
        """The fields by their names in the report."""
        return {"self" if name == "self_distance" else name: value for name, value in vars(self).items()}


def describe(
    measured: SetStatistics,
    errors: FractionErrors | None,
    null: GaussianNull | None,
    statistics: ActivationStatistics,
    fractions: list[FractionReport],
    d_model: int,
) -> Description:
    """What the report says besides distances: of the scale always, and the rest with the spec's `statistics`."""
    spec, whole = measured.sets.spec, fractions[-1].nn_distance
    deviations = measured.deviations() if null is None else null.deviations
    norm, share = statistics.norm_mean, statistics.top5_share
    of_rows = scale(deviations, norm, share, d_model, None if whole is None else whole.mean)
    of_scale = scale_field(of_rows, measured.variants(), spec.fractions)
    split = None if spec.split is None else split_field(measured.split())
    if errors is None:
        return Description(of_scale, STATISTICS_OFF, split)
    nulls, of_null = _nulls(measured, errors.uncertainties[-1].mean)
    if not measured.sets.within:
        return Description(of_scale, _IN_REFERENCE, split, nulls, *coverage_fields(measured.coverage()))
    return Description(
        scale=of_scale,
        statistics_reason=None,
        split=split,
        null_models=nulls,
        intrinsic_dimension=dimension_field(measured.dimension(), of_null),
        neighbors=neighbors_field(measured.neighborhood()),
        loss=loss_field(measured.loss()),
        sample_size=sample_size_field(measured.sample_size()),
    )


def notices_on(described: Description, statistics: ActivationStatistics, n: int, duplicates: int) -> list[Notice]:
    """Warnings about the statistics."""
    found = [*dominating_row(statistics, n, described.scale.total_variance)]
    if described.null_models is not None:
        found += null_notices(described.null_models)
    if described.neighbors is not None:
        found += neighbor_notices(described.neighbors, duplicates)
    if described.sample_size is not None:
        found += extrapolation_notices(described.sample_size)
    return found


def _nulls(
    measured: SetStatistics, observed: Estimate
) -> tuple[list[NullDistances], intrinsic_dimension.IntrinsicDimension | None]:
    """The null models beside the observed mean, and the dimension of a draw of the Gaussian one."""
    settings, seed, (fitted, asked) = measured.settings, measured.sets.spec.seed, measured.fitted()
    draws, queries, n = settings.null_draws, settings.null_queries, len(fitted.rows)
    drawn = measure_nulls(fitted, asked, draws, queries, seed, measured.options, measured.beat)
    fields = [null_field(null, observed, n, draws, min(queries, measured.sets.query_rows)) for null in drawn]
    return fields, None if asked is not None else null_dimension(fitted, LISTED, seed, measured.options)
