"""Vectors at sites from Hugging Face's own forward pass of a GPT-2, to compare ours with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from service.contracts.sites import FINAL_NORM, HookName, Site
from workers.models.gpt2 import GPT2


@torch.inference_mode()
def read_plainly(model: GPT2, tokens: torch.Tensor, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
    """(T, D) at each site for (T,) int64 tokens: `GPT2Model.forward` as the library has it, with its own activation.

    What this project adds is not part of it: the walk through the blocks, positions, the fused activation, batches
    and padding. The vectors are read by forward hooks on the library's modules.
    """
    found: dict[Site, torch.Tensor] = {}
    plain = model.model
    with ExitStack() as hooks, _own_activations(plain):
        for layer, block in enumerate(plain.h):
            for hook, module, before in _places(block):
                hooks.callback(_keep(found, Site(layer, hook), module, before=before).remove)
        found[Site(len(plain.h), FINAL_NORM)] = plain(tokens[None]).last_hidden_state
    return {site: found[site][0] for site in sites}


def _places(block: Any) -> list[tuple[HookName, Any, bool]]:
    """Name of each site of a block, the module it is read at, and whether before that module or after."""
    return [
        ("resid_pre", block, True),
        ("attn_out", block.attn, False),
        ("resid_mid", block.ln_2, True),
        ("mlp_out", block.mlp, False),
        ("resid_post", block, False),
    ]


def _keep(found: dict[Site, torch.Tensor], site: Site, module: Any, *, before: bool) -> Any:
    def keep(value: Any) -> None:
        found[site] = value[0] if isinstance(value, tuple) else value

    if before:
        return module.register_forward_pre_hook(lambda _, given: keep(given))
    return module.register_forward_hook(lambda _, given, returned: keep(returned))


@contextmanager
def _own_activations(plain: Any) -> Iterator[None]:
    """The activations that the library's configuration names, within the block."""
    from transformers.activations import ACT2FN

    ours = [block.mlp.act for block in plain.h]
    for block in plain.h:
        block.mlp.act = ACT2FN[plain.config.activation_function]
    try:
        yield
    finally:
        for block, act in zip(plain.h, ours, strict=True):
            block.mlp.act = act
