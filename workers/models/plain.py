"""Vectors at sites from Hugging Face's own forward pass, to compare ours with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from service.contracts.families import FAMILIES
from service.contracts.sites import Site
from workers.models.decoder import Decoder
from workers.models.gpt2 import GPT2
from workers.models.modules import read_modules


@torch.inference_mode()
def read_plainly(model: GPT2 | Decoder, tokens: torch.Tensor, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
    """(T, D) at each site for (T,) int64 tokens: the forward pass as the library has it, with its own activation.

    What this project adds is not part of it: for GPT-2 the walk through the blocks and the fused activation, for all
    batches and padding. The vectors are read by forward hooks on the library's modules.
    """
    gpt2 = isinstance(model, GPT2)
    family = FAMILIES["gpt2"] if gpt2 else model.family
    with _own_activations(model.model) if gpt2 else nullcontext():
        found = read_modules(model.model, family, tokens[None], sites)
    return {site: found[site][0] for site in sites}


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
