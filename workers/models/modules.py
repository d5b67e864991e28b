"""Reading a Hugging Face model at sites, by hooks on its modules; its own forward pass computes everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from service.contracts.families import Family
from service.contracts.sites import FINAL_NORM, Site

Keep = Callable[[Site, torch.Tensor], None]


class _AllFound(Exception):
    """The last of the sites was reached."""


def read_modules(model: Any, family: Family, tokens: torch.Tensor, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
    """(B, T, D) at each site for (B, T) int64 tokens, at positions 0 … T − 1, without a cache.

    Masks, windows and rotary positions are those that the model's own forward pass makes; it ends after the module
    with the last site.
    """
    found: dict[Site, torch.Tensor] = {}
    wanted = set(sites)

    def keep(site: Site, vectors: torch.Tensor) -> None:
        found[site] = vectors.view(*tokens.shape, -1)  # some families flatten batch and positions
        if len(found) == len(wanted):
            raise _AllFound

    with ExitStack() as hooks:
        for site in wanted:
            hooks.callback(_hook(model, family, site, keep).remove)
        try:
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
            model(input_ids=tokens, position_ids=positions, use_cache=False)
        except _AllFound:
            pass
    return found


def module_of(family: Family, site: Site) -> tuple[str, bool]:
    """The module of a model's stack at which a site is read, and whether before that module or after."""
    if site.hook == FINAL_NORM:
        return family.final_norm, False
    block = f"{family.blocks}.{site.layer}"
    of_block = {"attn_out": family.attention, "mlp_out": family.mlp, "resid_mid": family.mid}
    path = f"{block}.{of_block[site.hook]}" if site.hook in of_block else block
    return path, site.hook in ("resid_pre", "resid_mid")


def _hook(model: Any, family: Family, site: Site, keep: Keep) -> Any:
    path, before = module_of(family, site)
    module = model.get_submodule(path)
    if before:
        return module.register_forward_pre_hook(lambda _, given: keep(site, given[0]))
    return module.register_forward_hook(
        lambda _, given, out: keep(site, out[0] if isinstance(out, tuple) else out),
    )
