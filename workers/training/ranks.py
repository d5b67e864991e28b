"""Processes that train one run together, each on a device of its own, started by `torchrun`.

Rank 0 is the worker that takes segments; the others execute the messages that it broadcasts. A step's micro-batches are
divided among the ranks and the gradients are summed: losses are weighted for the whole batch, so the sum is its
gradient. NCCL sums gradients between GPUs, gloo between CPUs; messages use gloo, which waits without occupying a GPU.
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
_WAIT_FOR_WORK = timedelta(days=3650)  # the other ranks wait for messages without a limit
_WAIT_FOR_GRADIENTS = timedelta(minutes=10)  # all ranks are within one step; a longer wait is for a dead one


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among `world` processes; with one process every method is local."""

    rank: int = 0
    world: int = 1
    gradients: Any = None  # None: the group of the messages

    def share(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """This process's part of a step's micro-batches."""
        return batches[self.rank :: self.world]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes; a missing gradient counts as zero."""
        if self.world == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([gradient.reshape(-1) for gradient in own])
        distributed.all_reduce(flat, group=self.gradients)
        for parameter, part in zip(trained, flat.split([p.numel() for p in trained]), strict=True):
            parameter.grad = part.view_as(parameter)

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return total.item()

    def broadcast(self, message: dict[str, Any]) -> None:
        """Send a JSON message from rank 0 to all other ranks."""
        if self.world > 1:
            content = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
            distributed.broadcast(torch.tensor([len(content)]), 0)
            distributed.broadcast(content, 0)

    def receive(self) -> dict[str, Any]:
        """Wait for the next message of rank 0; for the other ranks."""
        length = torch.zeros(1, dtype=torch.int64)
        distributed.broadcast(length, 0)
        content = torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(content, 0)
        return json.loads(content.numpy().tobytes())


ALONE = Ranks()


@cache
def own_ranks() -> Ranks:
    """The processes that `torchrun` started together, joined at the first call; `ALONE` without `torchrun`."""
    if not distributed.is_torchelastic_launched():
        return ALONE
    if torch.cuda.is_available():
        torch.cuda.set_device(choose_device("auto"))
    distributed.init_process_group("gloo", timeout=_WAIT_FOR_WORK)
    gradients = None
    if torch.cuda.is_available():
        gradients = distributed.new_group(backend="nccl", timeout=_WAIT_FOR_GRADIENTS)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), gradients)
