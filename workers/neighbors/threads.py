"""Tiles in several threads on a CPU: each computes whole tiles with its share of the cores.

Threads that share one tile wait for one another after each of its many operations, and all of them for the slowest; a
thread with a tile of its own waits for nobody. That is faster, and far less slowed by other processes on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch

_MOST_THREADS = 8  # each holds a tile; where there are more cores, each has several
Task = TypeVar("Task")
Result = TypeVar("Result")


def threads_on(device: torch.device) -> int:
    """Threads that compute tiles on a device: on a CPU one for each core that torch may use, up to 8."""
    return min(torch.get_num_threads(), _MOST_THREADS) if device.type == "cpu" else 1


def in_threads(tasks: Sequence[Task], run: Callable[[Task], Result], threads: int) -> Generator[Result]:
    """The results of all tasks, begun in the given order, as they end.

    An exception of one is raised here; then, or when the generator is closed, tasks that have not begun are left out.
    """
    if threads == 1 or len(tasks) == 1:
        yield from map(run, tasks)
        return
    cores = torch.get_num_threads()
    # torch counts threads for each calling thread; the last call sets the number of those that are yet to come.
    pool = ThreadPoolExecutor(threads, "tiles", torch.set_num_threads, (cores // threads,))
    try:
        for ended in as_completed([pool.submit(run, task) for task in tasks]):
            yield ended.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
