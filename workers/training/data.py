"""Windows of tokens from one long array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Array = np.ndarray
Tick = Callable[[], None]  # called repeatedly during long work; it raises to cancel the work


@dataclass(frozen=True)
class DataDescription:
    """The description of its prepared data that a run records.

    Attributes:
        data: as the run keeps it; each experiment has fields of its own.
        reference_lines: losses to compare with.
        held_out_in_training: share of the held-out text that stands in the training part too.
    """

    data: dict[str, Any]
    reference_lines: dict[str, float]
    held_out_in_training: float = 0.0


def no_tick() -> None:
    """The callback that does nothing."""


def ready_for(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor in pinned memory, from which a GPU copies asynchronously; unchanged for a CPU."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def split_tail(tokens: Array, share: float) -> tuple[Array, Array]:
    """`(training, validation)`: the last `share` of the array is held out."""
    cut = len(tokens) - int(len(tokens) * share)
    return tokens[:cut], tokens[cut:]


def windows_at(tokens: Array, starts: Iterable[int], window: int) -> torch.Tensor:
    """(rows, window + 1) int64 from each start; the window is input, shifted by one the target."""
    return torch.from_numpy(np.stack([tokens[start : start + window + 1] for start in starts]).astype(np.int64))


def spread_starts(length: int, window: int, count: int) -> Array:
    """(starts,) of up to `count` windows without overlap, spread evenly over an array of that length."""
    places = (length - 1) // window
    return np.unique(np.linspace(0, places - 1, min(count, places), dtype=np.int64)) * window


def random_windows(tokens: Array, window: int, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless batches of windows from uniform starts."""
    generator = np.random.Generator(np.random.PCG64(seed))
    while True:
        starts = generator.integers(0, len(tokens) - window, size=batch)
        yield windows_at(tokens, starts, window)


def consecutive_windows(tokens: Array, window: int, batch: int) -> Iterator[torch.Tensor]:
    """All batches of whole windows, in order, the last perhaps smaller."""
    starts = range(0, len(tokens) - window, window)
    for first in range(0, len(starts), batch):
        yield windows_at(tokens, starts[first : first + batch], window)
