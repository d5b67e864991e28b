"""A decoder of any family but GPT-2, computed by Hugging Face's code, so that the numbers equal theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from service.contracts.families import Family
from service.contracts.sites import Site
from workers.models.interface import ModelSizes, OutputMap
from workers.models.modules import read_modules


class Decoder:
    """The stack of blocks of a Hugging Face model, in evaluation mode and without gradients.

    Args:
        output_map: only losses need it.
    """

    def __init__(self, model: Any, family: Family, sizes: ModelSizes, output_map: OutputMap | None = None) -> None:
        self.model, self.family, self.sizes, self.output_map = model.eval(), family, sizes, output_map

    @property
    def device(self) -> torch.device:
        return self.model.get_input_embeddings().weight.device

    @torch.inference_mode()
    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        """See `HookedModel.read`."""
        return read_modules(self.model, self.family, tokens, sites, at)
