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


@dataclass(frozen=True)
class OutputMap:
    """The map of `final_norm_out` to logits: z = hidden · weightᵀ + bias, or cap · tanh(z / cap) where there is a cap.

    Attributes:
        weight: (V, d_model), or wider, with zeros.
        bias: (V,), or None.
        cap: soft cap of the logits, or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    cap: float | None = None


class HookedModel(Protocol):
    """A model whose activations are read at sites."""

    sizes: ModelSizes

    @property
    def device(self) -> torch.device: ...

    @property
    def output_map(self) -> OutputMap | None:
        """The output map; None for a model that has none, or whose own was not read."""
        ...

    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        """Vectors at each site for (batch, position) int64 tokens: (batch, position, d_model) each.

        Tokens may be padded on the right: attention is causal, so padding changes no vector before it. The forward
        pass stops after the last layer needed.

        Args:
            at: (batch,) the one position of each sequence that is wanted; the vectors are (batch, 1, d_model) then.
        """
        ...


def take_positions(vectors_BTD: torch.Tensor, at: torch.Tensor | None) -> torch.Tensor:
    """(B, 1, D) of the vectors, at the position of each sequence; all of them where `at` is None."""
    if at is None:
        return vectors_BTD
    return vectors_BTD[torch.arange(len(at), device=at.device), at][:, None]
