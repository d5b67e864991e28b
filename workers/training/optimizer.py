"""AdamW (Loshchilov and Hutter 2019) over the parameter groups of every training run."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_FUSED = {"cpu", "cuda"}  # device types on which one kernel does the whole step


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weight decay for tensors of two and more dimensions, none for biases and norms.

    Both follow the order of `parameters`; parameters that need no gradient are left out.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed, others = [p for p in trained if p.dim() >= 2], [p for p in trained if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def adamw(
    model: nn.Module,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> torch.optim.AdamW:
    """θ ← θ − lr·(m̂ / (√v̂ + eps) + weight_decay·θ), decay decoupled; one fused kernel where the device has one.

    On a CPU, equal gradients give equal bits with any number of threads: every entry is computed independently.
    """
    groups = parameter_groups(model, weight_decay)
    parameters = [parameter for group in groups for parameter in group["params"]]
    fused = all(p.device.type in _FUSED and torch.is_floating_point(p) for p in parameters)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=fused)
