"""GPT-2 with hook points, computed by the modules of Hugging Face, so that the numbers equal theirs.

Hugging Face's own forward pass would compute every layer, the final norm and (in the language model) 50,257 logits per
position, although a site needs only what comes before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from service.contracts.sites import Site
from workers.models.interface import ModelSizes, OutputMap, take_positions
from workers.models.stream import BlockParts, read_sites, walk_blocks

if TYPE_CHECKING:
    from transformers.models.gpt2.modeling_gpt2 import GPT2Model  # takes seconds to import


def sizes_of(config: Any) -> ModelSizes:
    """The sizes in a `GPT2Config`."""
    return ModelSizes(config.n_layer, config.n_positions, config.n_embd, config.n_head, config.vocab_size)


class GPT2:
    """A `GPT2Model` read at sites, in evaluation mode and without gradients.

    Shapes: B batch, T positions, D d_model. The model's own `sdpa` kernel makes attention causal without a mask, so
    padding on the right changes no vector before it.

    Args:
        output_map: the output map, which only losses need.
    """

    def __init__(self, model: GPT2Model, output_map: OutputMap | None = None) -> None:
        self.model, self.output_map = model.eval(), output_map
        for block in model.h:
            _fuse_activation(block)
        self.sizes = sizes_of(model.config)

    @property
    def device(self) -> torch.device:
        return self.model.wte.weight.device

    @torch.inference_mode()
    def read(
        self, tokens: torch.Tensor, sites: Sequence[Site], at: torch.Tensor | None = None
    ) -> dict[Site, torch.Tensor]:
        """(B, T, D) at each site for (B, T) int64 tokens; see `HookedModel.read`."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        resid_BTD = self.model.wte(tokens) + self.model.wpe(positions)
        blocks = [_parts(block) for block in self.model.h]
        found = read_sites(walk_blocks(resid_BTD, blocks, self.model.ln_f), sites)
        return {site: take_positions(vectors_BTD, at) for site, vectors_BTD in found.items()}


def _parts(block: Any) -> BlockParts:
    return BlockParts(
        attention=lambda resid_BTD: block.attn(block.ln_1(resid_BTD))[0],
        mlp=lambda resid_BTD: block.mlp(block.ln_2(resid_BTD)),
    )


def _fuse_activation(block: Any) -> None:
    """Compute the tanh approximation of GELU in one kernel; Hugging Face composes it of eight."""
    from transformers.activations import NewGELUActivation

    if isinstance(block.mlp.act, NewGELUActivation):
        block.mlp.act = nn.GELU(approximate="tanh")
