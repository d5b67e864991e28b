"""The statistics of a radius report as its fields, and the warnings that follow from them."""

from __future__ import annotations

from typing import Any

from service.contracts.activations import ActivationStatistics
from service.contracts.base import Notice
from service.contracts.radius import LISTED, FractionReport
from service.contracts.statistics import STATISTICS_OFF, NullDistances
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
from workers.statistics.estimate import Estimate
from workers.statistics.intrinsic_dimension import IntrinsicDimension
from workers.statistics.scale import scale

_IN_REFERENCE = "the rows are searched in another set"


def describe(
    measured: SetStatistics,
    errors: FractionErrors | None,
    null: GaussianNull | None,
    statistics: ActivationStatistics,
    fractions: list[FractionReport],
    d_model: int,
) -> dict[str, Any]:
    """What the report says besides distances: of the scale always, and the rest with the spec's `statistics`."""
    spec, whole = measured.sets.spec, fractions[-1].nn_distance
    deviations = measured.deviations() if null is None else null.deviations
    norm, share = statistics.norm_mean, statistics.top5_share
    of_rows = scale(deviations, norm, share, d_model, None if whole is None else whole.mean)
    fields: dict[str, Any] = {"scale": scale_field(of_rows, measured.variants(), spec.fractions)}
    if spec.split is not None:
        fields["split"] = split_field(measured.split())
    if errors is None:
        return fields | {"statistics_reason": STATISTICS_OFF}
    nulls, of_null = _nulls(measured, errors.uncertainties[-1].mean)
    fields["null_models"] = nulls
    if not measured.sets.within:
        covered, own, auc = coverage_fields(measured.coverage())
        return fields | {"coverage": covered, "self": own, "rank_auc": auc, "statistics_reason": _IN_REFERENCE}
    return fields | {
        "statistics_reason": None,
        "intrinsic_dimension": dimension_field(measured.dimension(), of_null),
        "neighbors": neighbors_field(measured.neighborhood()),
        "loss": loss_field(measured.loss()),
        "sample_size": sample_size_field(measured.sample_size()),
    }


def notices_on(described: dict[str, Any], statistics: ActivationStatistics, n: int, duplicates: int) -> list[Notice]:
    """Warnings about the statistics."""
    found = list[Notice]()
    if described.get("scale") is not None:
        found += dominating_row(statistics, n, described["scale"].total_variance)
    if described.get("null_models") is not None:
        found += null_notices(described["null_models"])
    if described.get("neighbors") is not None:
        found += neighbor_notices(described["neighbors"], duplicates)
        found += extrapolation_notices(described["sample_size"])
    return found


def _nulls(measured: SetStatistics, observed: Estimate) -> tuple[list[NullDistances], IntrinsicDimension | None]:
    """The null models beside the observed mean, and the dimension of a draw of the Gaussian one."""
    settings, seed, (fitted, asked) = measured.settings, measured.sets.spec.seed, measured.fitted()
    draws, queries, n = settings.null_draws, settings.null_queries, len(fitted.rows)
    drawn = measure_nulls(fitted, asked, draws, queries, seed, measured.options, measured.beat)
    fields = [null_field(null, observed, n, draws, min(queries, measured.sets.query_rows)) for null in drawn]
    return fields, None if asked is not None else null_dimension(fitted, LISTED, seed, measured.options)
