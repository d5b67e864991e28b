"""Root mean square normalisation of OpenELM (Mehta et al. 2024)."""

from __future__ import annotations

import torch
from torch import nn

EPS = 1e-6


def rms_normalize(x: torch.Tensor, count: int) -> torch.Tensor:
    """x / √(Σ x² / count + 1e-6) over the last dimension, in float32 (or the input's float64), in the input's type.

    `count` is the number of entries without padding.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    mean_sq = wide.square().sum(dim=-1, keepdim=True) / count
    return (wide * torch.rsqrt(mean_sq + EPS)).to(x.dtype)


class RMSNorm(nn.Module):
    """`rms_normalize`, then a weight per entry, applied in the input's type; no bias.

    Args:
        width: entries of a vector without padding.
        stored: entries with padding; `width` by default.
    """

    def __init__(self, width: int, stored: int | None = None) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.zeros(stored or width))
        with torch.no_grad():
            self.weight[:width] = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return rms_normalize(x, self.width) * self.weight
