"""AdamW (Loshchilov and Hutter 2019) over the parameter groups that every run here uses."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

_FUSED = {"cpu", "cuda"}  # device types on which one kernel does the whole step


def parameter_groups(model: nn.Module, weight_decay: float, *, undecayed: Collection[str] = ()) -> list[dict[str, Any]]:
    """Two groups: weight decay for tensors of two and more dimensions, none for biases, norms and `undecayed` names.

    Both follow the order of `named_parameters`; parameters that need no gradient are left out.

    Raises:
        ValueError: the model has no parameter of a name in `undecayed`.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if unknown := set(undecayed) - set(named):
        raise ValueError(f"the model has no trainable parameter {sorted(unknown)[0]!a}")
    decayed = [p for name, p in named.items() if p.dim() >= 2 and name not in undecayed]
    others = [p for name, p in named.items() if p.dim() < 2 or name in undecayed]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def adamw(
    model: nn.Module,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
    undecayed: Collection[str] = (),
) -> torch.optim.AdamW:
    """θ ← θ − lr·(m̂ / (√v̂ + eps) + weight_decay·θ), decay decoupled; one fused kernel where the device has it.

    On a CPU, equal gradients give equal bits, whatever the number of threads: every entry is computed alone.

    Raises:
        ValueError: what `parameter_groups` raises.
    """
    groups = parameter_groups(model, weight_decay, undecayed=undecayed)
    parameters = [parameter for group in groups for parameter in group["params"]]
    fused = all(p.device.type in _FUSED and torch.is_floating_point(p) for p in parameters)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=fused)
