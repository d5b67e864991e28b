"""Processes that train one run together, each on a device of its own, started by `torchrun`.

Rank 0 is the worker that takes segments; the others follow what it says. A step's micro-batches are dealt out, and the
gradients are summed: the weights in the loss are those of the whole batch, so the sum is its gradient. Gradients go by
NCCL between GPUs and by gloo between CPUs; what rank 0 says goes by gloo, which waits without occupying a device.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from workers.devices.device import choose_device

Batch = TypeVar("Batch")
_PATIENCE = timedelta(days=3650)  # followers wait for work as long as there is none


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is; one alone needs nobody."""

    rank: int = 0
    world: int = 1

    def share(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """This process's part of a step's micro-batches."""
        return batches[self.rank :: self.world]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; one that a process has not got counts as zero."""
        if self.world == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([gradient.reshape(-1) for gradient in own])
        distributed.all_reduce(flat)
        for parameter, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
            parameter.grad = part.view_as(parameter)

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return total.item()

    def tell(self, message: dict[str, Any]) -> None:
        """Rank 0: say something to the others."""
        if self.world > 1:
            content = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
            distributed.broadcast(torch.tensor([len(content)]), 0)
            distributed.broadcast(content, 0)

    def hear(self) -> dict[str, Any]:
        """The others: wait for what rank 0 says next."""
        length = torch.zeros(1, dtype=torch.int64)
        distributed.broadcast(length, 0)
        content = torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(content, 0)
        return json.loads(content.numpy().tobytes())


ALONE = Ranks()


@cache
def own_ranks() -> Ranks:
    """The processes that `torchrun` started with this one, joined at the first call; `ALONE` without it."""
    if not distributed.is_torchelastic_launched():
        return ALONE
    if torch.cuda.is_available():
        torch.cuda.set_device(choose_device("auto"))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    return Ranks(distributed.get_rank(), distributed.get_world_size())
