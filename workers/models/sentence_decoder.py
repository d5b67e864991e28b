"""The decoder trained on the question-formation language (Murty et al. 2023; appendix F.2 of the paper)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from service.errors import InvalidInput
from workers.models.interface import ModelSizes
from workers.models.stream import BlockParts
from workers.models.trainable import TrainableModel


@dataclass(frozen=True)
class SentenceDecoderConfig:
    """Sizes; the defaults are those that Murty et al.'s code builds, with 6 layers (or 10).

    Raises:
        InvalidInput: sizes that make no model.
    """

    n_layers: int = 6
    d_model: int = 512
    n_heads: int = 8
    d_mlp: int = 2048
    d_vocab: int = 71
    n_ctx: int = 5000  # rows of the table of positions
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("n_layers", "d_model", "n_heads", "d_mlp", "d_vocab", "n_ctx"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be positive", field=name)
        if self.d_model % self.n_heads or self.d_model % 2:
            raise InvalidInput("d_model must be even and a multiple of n_heads", field="d_model")
        if not 0 <= self.dropout < 1:
            raise InvalidInput("a dropout is from 0 to below 1", field="dropout")


class Attention(nn.Module):
    """Causal attention of H heads of width K, scores scaled by 1/√K; no biases."""

    def __init__(self, config: SentenceDecoderConfig) -> None:
        super().__init__()
        self.n_heads, self.dropout = config.n_heads, config.dropout
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=False)
        self.merge = nn.Linear(config.d_model, config.d_model, bias=False)
        for weight in (*self.qkv.weight.chunk(3), self.merge.weight):  # queries, keys and values separately
            nn.init.xavier_uniform_(weight)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """(B, T, D) → (B, T, D)."""
        qkv_BT3HK = self.qkv(x_BTD).unflatten(-1, (3, self.n_heads, -1))
        q_BHTK, k_BHTK, v_BHTK = qkv_BT3HK.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed_BHTK = functional.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, dropout_p=dropout, is_causal=True)
        return self.merge(mixed_BHTK.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """linear2(dropout(relu(linear1(x))))."""

    def __init__(self, config: SentenceDecoderConfig) -> None:
        super().__init__()
        self.linear1 = nn.Linear(config.d_model, config.d_mlp)
        self.linear2 = nn.Linear(config.d_mlp, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.xavier_uniform_(self.linear1.weight, gain=nn.init.calculate_gain("relu"))
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        """(B, T, D) → (B, T, D)."""
        return self.linear2(self.dropout(functional.relu(self.linear1(x_BTD))))


class Block(nn.Module):
    """x = norm1(x + attn(x)); x = norm2(x + ffn(x)); dropout on both sums' second terms."""

    def __init__(self, config: SentenceDecoderConfig) -> None:
        super().__init__()
        self.attn = Attention(config)
        self.norm1 = nn.LayerNorm(config.d_model)
        self.ffn = FeedForward(config)
        self.norm2 = nn.LayerNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)


class SentenceDecoder(TrainableModel):
    """The model of `config`, freshly initialised from torch's global generator.

    hidden = dropout(√d_model·E[token] + P[position]), P[t, 2j] = sin(t·10000^(−2j/d_model)) and P[t, 2j + 1] its
    cosine, then post-norm blocks. The residual stream is the output of the norms: `resid_mid` and `resid_post` are read
    after norm1 and norm2, `attn_out` and `mlp_out` before the sums. There is no norm after the last block, so
    `final_norm_out` is the last `resid_post`. The output map has a bias and is not tied to the embedding.
    """

    positions: torch.Tensor  # (n_ctx, D)

    def __init__(self, config: SentenceDecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.sizes = ModelSizes(config.n_layers, config.n_ctx, config.d_model, config.n_heads, config.d_vocab)
        self.embedding = nn.Embedding(config.d_vocab, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.output = nn.Linear(config.d_model, config.d_vocab)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.xavier_uniform_(self.embedding.weight)
        nn.init.xavier_uniform_(self.output.weight)
        self.register_buffer("positions", _positions(config.n_ctx, config.d_model), persistent=False)

    @property
    def output_weight(self) -> torch.Tensor:
        """(V, D)."""
        return self.output.weight

    @property
    def output_bias(self) -> torch.Tensor:
        """(V,)."""
        return self.output.bias

    def parameter_counts(self) -> dict[str, int]:
        blocks = sum(parameter.numel() for parameter in self.blocks.parameters())
        return {"total": sum(parameter.numel() for parameter in self.parameters()), "without_embeddings": blocks}

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        scaled_BTD = self.embedding(tokens) * math.sqrt(self.config.d_model)
        placed_BTD = scaled_BTD + self.positions[: tokens.shape[1]]
        return self.dropout(placed_BTD.to(scaled_BTD.dtype))

    def _parts(self, block: nn.Module) -> BlockParts:
        assert isinstance(block, Block)
        return BlockParts(
            attention=block.attn,
            mlp=block.ffn,
            join_attention=lambda resid_BTD, attn_BTD: block.norm1(resid_BTD + block.dropout(attn_BTD)),
            join_mlp=lambda resid_BTD, mlp_BTD: block.norm2(resid_BTD + block.dropout(mlp_BTD)),
        )


def _positions(n_ctx: int, d_model: int) -> torch.Tensor:
    """(n_ctx, d_model) sines and cosines (Vaswani et al. 2017), computed in float64."""
    exponents = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    angles = torch.arange(n_ctx, dtype=torch.float64)[:, None] * 10_000.0**-exponents
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()
