"""OpenELM (Mehta et al. 2024, appendix G of the paper): a pre-norm decoder whose layers differ in heads and widths."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from service.theory.openelm_size import openelm_size
from workers.models.interface import ModelSizes
from workers.models.openelm_config import OpenELMConfig
from workers.models.rms_norm import RMSNorm, rms_normalize
from workers.models.rotary import Rotary
from workers.models.stream import BlockParts
from workers.models.trainable import TrainableModel

_HUGGING_FACE_STD = 0.02


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map without bias, left to `_initialise`: PyTorch's default would draw numbers for the padding too."""
    made = skip_init(nn.Linear, inputs, outputs, bias=False, device=torch.get_default_device())
    assert isinstance(made, nn.Linear)
    return made


def _embedding(d_vocab: int, width: int) -> nn.Embedding:
    made = skip_init(nn.Embedding, d_vocab, width, device=torch.get_default_device())
    assert isinstance(made, nn.Embedding)
    return made


class Attention(nn.Module):
    """Causal attention of H query heads in groups that share J key-value heads of width K, without biases.

    Queries and keys are normalised over the head (one weight for all query heads, one for all key heads), then rotated
    by their positions; scores are scaled by 1/√K.
    """

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        self.heads, self.pairs, self.d_head = config.query_heads[layer], config.kv_heads[layer], config.d_head
        self.dropout = config.attention_dropout
        width = config.stored_width
        self.qkv_proj = _linear(width, (self.heads + 2 * self.pairs) * self.d_head)
        self.out_proj = _linear(self.heads * self.d_head, width)
        self.q_norm_weight = nn.Parameter(torch.ones(self.d_head))
        self.k_norm_weight = nn.Parameter(torch.ones(self.d_head))

    def forward(self, x_BTD: torch.Tensor, rotary: Rotary) -> torch.Tensor:
        """(B, T, D) → (B, T, D)."""
        heads_BTHK = self.qkv_proj(x_BTD).unflatten(-1, (-1, self.d_head))
        qk_BTHK, v_BTJK = heads_BTHK.split([self.heads + self.pairs, self.pairs], dim=2)
        q_BTHK, k_BTJK = rotary(self._normalize(qk_BTHK)).split([self.heads, self.pairs], dim=2)
        mixed_BHTK = functional.scaled_dot_product_attention(
            q_BTHK.transpose(1, 2),
            k_BTJK.transpose(1, 2),
            v_BTJK.transpose(1, 2),
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=True,
            enable_gqa=self.heads != self.pairs,
        )
        return self.out_proj(mixed_BHTK.transpose(1, 2).flatten(2))

    def _normalize(self, qk_BTHK: torch.Tensor) -> torch.Tensor:
        """Normalise queries and keys together: one norm, two weights."""
        q_HK = self.q_norm_weight.expand(self.heads, -1)
        k_JK = self.k_norm_weight.expand(self.pairs, -1)
        return rms_normalize(qk_BTHK, self.d_head) * torch.cat([q_HK, k_JK])


class FeedForward(nn.Module):
    """proj_2(silu(a) · b) with (a, b) the halves of proj_1(x); without biases."""

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        self.proj_1 = _linear(config.stored_width, 2 * config.d_mlp[layer])
        self.proj_2 = _linear(config.d_mlp[layer], config.stored_width)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """(B, T, D) → (B, T, D)."""
        gate, value = self.proj_1(x_BTD).chunk(2, dim=-1)
        return self.proj_2(functional.silu(gate) * value)


class Block(nn.Module):
    """x += attn(attn_norm(x)); x += ffn(ffn_norm(x))."""

    def __init__(self, config: OpenELMConfig, layer: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.d_model, config.stored_width)
        self.attn = Attention(config, layer)
        self.ffn_norm = RMSNorm(config.d_model, config.stored_width)
        self.ffn = FeedForward(config, layer)


class OpenELM(TrainableModel):
    """The model of `config`, freshly initialised from torch's global generator.

    The embedding is also the output map; there is one norm after the last block. With `width_multiple`, the vectors of
    the residual stream and the weights that read or write it are padded with zeros. The padding gets no gradient and
    stays zero, and norms divide by d_model, so that nothing else changes.
    """

    def __init__(self, config: OpenELMConfig) -> None:
        super().__init__()
        self.config = config
        heads = max(config.query_heads)
        self.sizes = ModelSizes(config.n_layers, config.n_ctx, config.d_model, heads, config.d_vocab)
        self.embedding = _embedding(config.d_vocab, config.stored_width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.final_norm = RMSNorm(config.d_model, config.stored_width)
        self.rotary = Rotary(config.d_head, config.n_ctx)
        _initialise(self)

    @property
    def output_weight(self) -> torch.Tensor:
        """The embedding's own weight, (V, D)."""
        return self.embedding.weight

    def parameter_counts(self) -> dict[str, int]:
        size = openelm_size(self.config)
        return {"total": size.total, "without_embeddings": size.transformer}

    def unpadded_shapes(self) -> dict[str, torch.Size]:
        with torch.device("meta"):
            exact = OpenELM(replace(self.config, width_multiple=1))
        return {name: parameter.shape for name, parameter in exact.named_parameters()}

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return functional.dropout(self.embedding(tokens), self.config.embedding_dropout, self.training)

    def _parts(self, block: nn.Module) -> BlockParts:
        assert isinstance(block, Block)
        return BlockParts(
            attention=lambda resid_BTD: block.attn(block.attn_norm(resid_BTD), self.rotary),
            mlp=lambda resid_BTD: block.ffn(block.ffn_norm(resid_BTD)),
        )

    def _final_norm(self, resid_BTD: torch.Tensor) -> torch.Tensor:
        return self.final_norm(resid_BTD)


@torch.no_grad()
def _initialise(model: OpenELM) -> None:
    """Normal weights around 0, norms 1.

    `hugging_face`: standard deviation 0.02 everywhere. `corenet`: 1/√(inputs) for a linear map, 1/√d_model for the
    embedding, and 1/√(2·n_layers·d_model) for the two maps that write into the residual stream.
    """
    config, d = model.config, model.config.d_model
    corenet = config.initialisation == "corenet"
    inner = d**-0.5 if corenet else _HUGGING_FACE_STD
    writing = (2 * config.n_layers * d) ** -0.5 if corenet else _HUGGING_FACE_STD
    _fill(model.embedding.weight, (config.d_vocab, d), inner)
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        q_dim, width = config.query_heads[layer] * config.d_head, config.d_mlp[layer]
        _fill(block.attn.qkv_proj.weight, (q_dim + 2 * config.kv_heads[layer] * config.d_head, d), inner)
        _fill(block.attn.out_proj.weight, (d, q_dim), writing)
        _fill(block.ffn.proj_1.weight, (2 * width, d), inner)
        _fill(block.ffn.proj_2.weight, (d, width), writing)


def _fill(weight: torch.Tensor, shape: tuple[int, int], std: float) -> None:
    """Draw the entries without padding, in the same order for any stored width; set the padding to zero."""
    weight.zero_()
    weight[: shape[0], : shape[1]] = torch.empty(shape, dtype=weight.dtype, device=weight.device).normal_(std=std)
