"""A model that reads one more token before every sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from service.contracts.sites import Site
from workers.models.interface import HookedModel, OutputMap


class PrefixedModel:
    """A model before whose sequences the same token stands; it is not counted, and its vectors are left out."""

    def __init__(self, model: HookedModel, token: int) -> None:
        self.model, self.token = model, token
        self.sizes = replace(model.sizes, n_ctx=model.sizes.n_ctx - 1)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def output_map(self) -> OutputMap | None:
        return self.model.output_map

    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        """See `HookedModel.read`."""
        if at is not None:
            return self.model.read(self.prefix(tokens), sites, at + 1)
        found = self.model.read(self.prefix(tokens), sites)
        return {site: vectors_BTD[:, 1:] for site, vectors_BTD in found.items()}

    def prefix(self, tokens: torch.Tensor) -> torch.Tensor:
        """(…, T) tokens → (…, 1 + T), as the model reads them."""
        return torch.cat([torch.full_like(tokens[..., :1], self.token), tokens], dim=-1)
