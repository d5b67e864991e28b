"""The profile of an analysis over several sites: radius, dimension and null models over depth."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from service.contracts.base import Contract, Identifier, Notice
from service.contracts.statistics import Estimated, NullKind


class ProfileRatio(Estimated):
    """Observed mean over that of a null model, over the null's bias."""

    kind: NullKind


class ProfileSite(Contract):
    """The values of one site's radius report; null where that report has none."""

    site: str
    depth: float = Field(description="blocks that the vector went through; the final norm counts half a block")
    activations: Identifier
    report: Identifier
    n: int
    norm_mean: float
    norm_max: float
    top5_share: float | None
    participation_ratio: float | None
    nn_distance: Estimated
    nn_over_sqrt_2_total_variance: float | None
    nn_over_mean_norm: float | None
    nn_over_sqrt_n: float | None
    dimension: Estimated = Field(description="TwoNN")
    null_dimension: float | None = Field(description="the same of a draw of the Gaussian null")
    null_ratios: list[ProfileRatio]
    hub_skewness: float | None
    loss_correlation: Estimated | None = Field(
        default=None, description="Spearman's, of nn_distance and loss; null in profiles of earlier versions"
    )


class Profile(Contract):
    """`GET /v1/profiles/{id}`: sites in the order of their depth."""

    id: Identifier
    job: str
    name: str
    d_model: int
    n: int
    sites: list[ProfileSite]
    warnings: list[Notice]
    provenance: dict[str, Any]
    created_at: datetime


class ProfileSummary(Contract):
    """A row of `GET /v1/profiles`."""

    id: Identifier
    job: str
    name: str
    d_model: int
    n: int
    sites: int
    created_at: datetime
    href: str
