"""The interface of a model that activations are extracted from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from service.contracts.sites import Site


@dataclass(frozen=True)
class ModelSizes:
    """The sizes of a decoder-only Transformer, in the field's names."""

    n_layers: int
    n_ctx: int
    d_model: int
    n_heads: int
    d_vocab: int


class HookedModel(Protocol):
    """A model whose activations are read at sites."""

    sizes: ModelSizes

    @property
    def device(self) -> torch.device: ...

    @property
    def output_weight(self) -> torch.Tensor | None:
        """(V, D) or wider, with zeros: the map of `final_norm_out` to logits; None for a model without one."""
        ...

    @property
    def output_bias(self) -> torch.Tensor | None:
        """(V,), or None."""
        ...

    def read(self, tokens: torch.Tensor, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
        """Vectors at each site for (batch, position) int64 tokens: (batch, position, d_model) each.

        Tokens may be padded on the right: attention is causal, so padding changes no vector before it. The forward
        pass stops after the last layer needed.
        """
        ...
