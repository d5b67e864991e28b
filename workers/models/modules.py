"""Reading a Hugging Face model at sites, by hooks on its modules; its own forward pass computes everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from service.contracts.families import Family
from service.contracts.sites import FINAL_NORM, Site
from workers.models.interface import take_positions

Keep = Callable[[Site, torch.Tensor], None]


class _AllFound(Exception):
    """The last of the sites was reached."""


def read_modules(
    model: Any, family: Family, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
) -> dict[Site, torch.Tensor]:
    """(B, T, D) at each site for (B, T) int64 tokens, at positions 0 … T − 1, without a cache.

    Masks, windows and rotary positions are those that the model's own forward pass makes; it ends after the module
    with the last site.

    Args:
        at: (B,) positions; the vectors are (B, 1, D) then. The last block's MLP and the final norm, whose output no
            other position depends on, are computed at these positions alone, whatever the sites.
    """
    found: dict[Site, torch.Tensor] = {}
    wanted = set(sites)

    def keep(site: Site, vectors: torch.Tensor) -> None:
        vectors_BTD = vectors.reshape(len(tokens), -1, vectors.shape[-1])  # some families flatten batch and positions
        narrow = vectors_BTD.shape[1] < tokens.shape[1]
        found[site] = vectors_BTD if narrow else take_positions(vectors_BTD, at)
        if len(found) == len(wanted):
            raise _AllFound

    with ExitStack() as hooks:
        for site in wanted:
            hooks.callback(_hook(model, family, site, keep).remove)
        for handle in [] if at is None else _narrow(model, family, tokens, at):
            hooks.callback(handle.remove)
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


def _narrow(model: Any, family: Family, tokens: torch.Tensor, at: torch.Tensor) -> list[Any]:
    """Hooks that compute the last block's MLP and the final norm at one position of each sequence.

    The MLP's output is given to all positions, so that the block can add it; the sum is right at `at`, and no other is
    read.
    """
    block = model.get_submodule(family.blocks)[-1]

    def narrow(_: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        vectors = given[0]
        rows_B1D = take_positions(vectors.view(*tokens.shape, -1), at)
        return (rows_B1D if vectors.ndim == 3 else rows_B1D[:, 0], *given[1:])

    def widen(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        every_BTD = out.view(len(tokens), 1, -1).expand(-1, tokens.shape[1], -1)
        return every_BTD if out.ndim == 3 else every_BTD.flatten(0, 1)

    return [
        block.get_submodule(family.mid).register_forward_pre_hook(narrow),
        block.get_submodule(family.mlp).register_forward_hook(widen),
        model.get_submodule(family.final_norm).register_forward_pre_hook(narrow),
    ]
