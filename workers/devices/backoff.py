"""Halving of a batch when the memory of a device runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.errors import OutOfMemory
from workers.devices.memory import free_memory, is_out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_halving(run: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """Apply `run` to `items` in one piece, or in halves, quarters, … as memory allows; results in order.

    Raises:
        OutOfMemory: a single item does not fit.
    """
    pending, results = [items], []
    while pending:
        piece = pending.pop()
        outcome = _attempt(run, piece)
        if outcome is not None:
            results.append(outcome[0])
        elif len(piece) == 1:
            raise OutOfMemory("the device's memory does not hold a batch of one")
        else:
            # Outside the except block, whose traceback would keep the failed batch's tensors alive.
            free_memory()
            half = len(piece) // 2
            pending += [piece[half:], piece[:half]]
    return results


def _attempt(run: Callable[[Sequence[Item]], Result], piece: Sequence[Item]) -> tuple[Result] | None:
    try:
        return (run(piece),)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
