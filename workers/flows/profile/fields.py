"""One site of a profile: contracts in, contract out, no I/O."""

from __future__ import annotations

from typing import Any

from service.contracts.activations import ActivationStatistics
from service.contracts.profile import ProfileRatio, ProfileSite
from service.contracts.radius import RadiusReport
from service.contracts.sites import FINAL_NORM
from service.contracts.statistics import STATISTICS_OFF, Estimated
from service.errors import InvalidInput

_WITHIN = {"resid_pre": 0.0, "attn_out": 0.5, "resid_mid": 0.5, "mlp_out": 1.0, "resid_post": 1.0}


def profile_site(report: RadiusReport, statistics: ActivationStatistics, layer: int) -> ProfileSite:
    """The site of a radius report.

    Args:
        layer: index of the block, or the number of blocks for the final norm.

    Raises:
        InvalidInput: the report is of no site of a model.
    """
    if report.site is None:
        raise InvalidInput("a profile is of sites of a model")
    scale: Any = report.scale
    ratios = [ProfileRatio(kind=null.kind, **dict(null.unbiased)) for null in report.null_models or []]
    return ProfileSite(
        site=report.site,
        depth=depth_of(report.site, layer),
        activations=report.activations,
        report=report.id,
        n=report.n,
        norm_mean=statistics.norm_mean,
        norm_max=statistics.norm_max,
        top5_share=None if scale is None else scale.top5_share,
        participation_ratio=None if scale is None else scale.participation_ratio,
        nn_distance=_nn_distance(report),
        nn_over_sqrt_2_total_variance=None if scale is None else scale.nn_over_sqrt_2_total_variance,
        nn_over_mean_norm=None if scale is None else scale.nn_over_mean_norm,
        nn_over_sqrt_n=None if scale is None else scale.nn_over_sqrt_n,
        dimension=_dimension(report),
        null_dimension=_null_dimension(report),
        null_ratios=ratios,
        hub_skewness=None if report.neighbors is None else report.neighbors.hubness.skewness,
        loss_correlation=_loss_correlation(report),
    )


def depth_of(site: str, layer: int) -> float:
    """Blocks that a vector went through at that site of block `layer`; the final norm half a block more than all."""
    if site == FINAL_NORM:
        return layer + 0.5
    return layer + _WITHIN[site.rpartition("hook_")[2]]


def _nn_distance(report: RadiusReport) -> Estimated:
    whole = report.fractions[-1]
    if whole.nn_distance is None:
        return Estimated(value=None, standard_error=None, interval=None, reason=whole.reason)
    found = whole.nn_distance.uncertainty
    if found is None:
        return Estimated(value=whole.nn_distance.mean, standard_error=None, interval=None, reason=STATISTICS_OFF)
    error = found.mean
    return Estimated(
        value=whole.nn_distance.mean, standard_error=error.standard_error, interval=error.interval, reason=error.reason
    )


def _loss_correlation(report: RadiusReport) -> Estimated:
    if report.loss is None:
        return Estimated(value=None, standard_error=None, interval=None, reason=report.statistics_reason)
    return report.loss.spearman


def _dimension(report: RadiusReport) -> Estimated:
    found = report.intrinsic_dimension
    if found is None:
        return Estimated(value=None, standard_error=None, interval=None, reason=report.statistics_reason)
    two = found.two_nn
    return Estimated(value=two.value, standard_error=two.standard_error, interval=two.interval, reason=two.reason)


def _null_dimension(report: RadiusReport) -> float | None:
    found = report.intrinsic_dimension
    return None if found is None or found.null is None else found.null.two_nn.value
