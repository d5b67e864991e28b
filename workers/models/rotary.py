"""Rotary position embeddings (RoPE) on the two halves of a head, those of OpenELM (Mehta et al. 2024)."""

from __future__ import annotations

import torch
from torch import nn

BASE = 10_000.0


class Rotary(nn.Module):
    """Rotates the pair (x_j, x_{j + K/2}) of a head of width K at position t by the angle t·10000^(−2j/K).

    out_j = x_j cos − x_{j+K/2} sin, out_{j+K/2} = x_{j+K/2} cos + x_j sin; computed in float32 (or the input's float64)
    and rounded once to the input's type. The table is not a parameter and is not saved.
    """

    cos: torch.Tensor  # (T, K)
    sin: torch.Tensor  # (T, K), the first half negated, so that one product with the swapped halves is enough

    def __init__(self, d_head: int, n_ctx: int) -> None:
        super().__init__()
        exponents = torch.arange(0, d_head, 2, dtype=torch.float64) / d_head
        angles = torch.arange(n_ctx, dtype=torch.float64)[:, None] * BASE**-exponents
        cos, sin = angles.cos().float(), angles.sin().float()
        self.register_buffer("cos", torch.cat([cos, cos], dim=1), persistent=False)
        self.register_buffer("sin", torch.cat([-sin, sin], dim=1), persistent=False)

    def forward(self, heads_BTHK: torch.Tensor) -> torch.Tensor:
        """(B, T, H, K) heads, rotated by their positions 0 … T − 1."""
        positions, half = heads_BTHK.shape[1], heads_BTHK.shape[3] // 2
        wide = heads_BTHK if heads_BTHK.dtype == torch.float64 else heads_BTHK.float()
        swapped = torch.roll(wide, half, dims=3)
        turned = wide * self.cos[:positions, None] + swapped * self.sin[:positions, None]
        return turned.to(heads_BTHK.dtype)
