"""GPT-2 with hook points, over the Hugging Face modules, so that the numbers are theirs.

The forward is written out here because a whole Hugging Face forward computes every layer, the final norm and (in the
language model) 50,257 logits per position, none of which a site below needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GPT2Model

from service.contracts.sites import FINAL_NORM, Site
from workers.models.interface import ModelSizes


class GPT2:
    """A `GPT2Model` read at sites; in evaluation mode, no gradients.

    Shapes: B batch, T positions, D d_model.
    """

    def __init__(self, model: GPT2Model) -> None:
        self.model = model.eval()
        config = model.config
        self.sizes = ModelSizes(config.n_layer, config.n_positions, config.n_embd, config.n_head, config.vocab_size)

    @property
    def device(self) -> torch.device:
        return self.model.wte.weight.device

    @torch.inference_mode()
    def read(self, tokens: torch.Tensor, sites: Sequence[Site]) -> dict[Site, torch.Tensor]:
        """(B, T, D) at each site for (B, T) int64 tokens; see `HookedModel.read`."""
        found: dict[Site, torch.Tensor] = {}
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        hidden_BTD = self.model.wte(tokens) + self.model.wpe(positions)
        for layer in range(self._layers_needed(sites)):
            wanted = {site.hook: site for site in sites if site.layer == layer and site.hook != FINAL_NORM}
            hidden_BTD = self._block(layer, hidden_BTD, wanted, found)
        for site in sites:
            if site.hook == FINAL_NORM:
                found[site] = self.model.ln_f(hidden_BTD)
        return found

    def _layers_needed(self, sites: Sequence[Site]) -> int:
        return max(
            self.sizes.n_layers if site.hook == FINAL_NORM else site.layer + (site.hook != "resid_pre") or 1
            for site in sites
        )

    def _block(
        self, layer: int, resid_pre: torch.Tensor, wanted: dict[str, Site], found: dict[Site, torch.Tensor]
    ) -> torch.Tensor:
        """One block; puts what is wanted of it into `found` and returns the residual stream after it."""
        if "resid_pre" in wanted:
            found[wanted["resid_pre"]] = resid_pre
        block: Any = self.model.h[layer]
        outputs: dict[str, torch.Tensor] = {}
        handles = [
            block.attn.register_forward_hook(lambda _m, _i, out: outputs.__setitem__("attn_out", out[0])),
            block.mlp.register_forward_hook(lambda _m, _i, out: outputs.__setitem__("mlp_out", out)),
        ]
        try:
            resid_post = block(resid_pre, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        outputs["resid_mid"] = outputs["attn_out"] + resid_pre
        outputs["resid_post"] = resid_post
        found.update({site: outputs[hook] for hook, site in wanted.items() if hook != "resid_pre"})
        return resid_post
