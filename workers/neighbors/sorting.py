"""Sorting and comparing on any device; on a CPU by numpy, whose vector instructions are many times as fast."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def argsort(keys: Tensor) -> Tensor:
    """The order of (n,) numbers; equal ones come in any order."""
    return torch.from_numpy(np.argsort(keys.numpy())) if keys.device.type == "cpu" else torch.argsort(keys)


def ascending(keys: Tensor) -> Tensor:
    """(n,) numbers in ascending order."""
    return torch.from_numpy(np.sort(keys.numpy())) if keys.device.type == "cpu" else torch.sort(keys).values


def k_smallest(values: Tensor, k: int) -> Tensor:
    """(..., n) → (..., min(k, n)) the k smallest of each row, ascending."""
    if k == 1:
        return values.amin(dim=-1, keepdim=True)
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=-1)[..., :k])
    return values.topk(min(k, values.shape[-1]), dim=-1, largest=False, sorted=True).values


def at_most(a: Tensor, b: Tensor) -> Tensor:
    """a ≤ b, as bool."""
    return torch.from_numpy(np.less_equal(a.numpy(), b.numpy())) if a.device.type == "cpu" else a <= b
