"""The answer of `GET /v1/sites`."""

from __future__ import annotations

from typing import Literal

from service.contracts.base import Contract
from service.contracts.families import Family
from service.contracts.site_names import Library, SiteNames


class SiteDescription(Contract):
    """One site; `shape` is that of the vectors in a forward pass, `names` what libraries call it."""

    site: str
    layer: int
    shape: tuple[Literal["batch"], Literal["position"], int]
    names: dict[Library, list[str]]


class ModelSites(Contract):
    """The sites of a model, in the order of its forward pass.

    `norms` says where a block has its norms; `parallel`, whether attention and MLP read the same input, so that there
    is no `hook_resid_mid`. What `attn_out` and `mlp_out` are is what is added to the residual stream.
    """

    model: str
    family: str
    title: str
    n_layers: int
    d_model: int
    n_ctx: int | None
    norm: Literal["RMSNorm", "LayerNorm"]
    norms: Literal["before", "after", "both", "of_sums"]
    parallel: bool
    data: list[SiteDescription]
    next: None = None


def describe_sites(model: str, names: SiteNames, d_model: int, n_ctx: int | None) -> ModelSites:
    """All sites of the model of that name."""
    family: Family = names.family
    data = [
        SiteDescription(site=str(site), layer=site.layer, shape=("batch", "position", d_model), names=names.names(site))
        for site in names.sites()
    ]
    return ModelSites(
        model=model,
        family=family.model_type,
        title=family.title,
        n_layers=names.n_layers,
        d_model=d_model,
        n_ctx=n_ctx,
        norm=family.norm,
        norms=family.norms,
        parallel=names.parallel,
        data=data,
    )
