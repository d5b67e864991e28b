"""Windows of tokens, drawn at random from one long array."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

Array = np.ndarray


def split_tail(tokens: Array, share: float) -> tuple[Array, Array]:
    """`(training, validation)`: the last `share` of the array is held out."""
    cut = len(tokens) - int(len(tokens) * share)
    return tokens[:cut], tokens[cut:]


def random_windows(tokens: Array, window: int, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Endless (batch, window + 1) int64 batches from uniform starts; the window is input, shifted by one the target."""
    generator = np.random.Generator(np.random.PCG64(seed))
    while True:
        starts = generator.integers(0, len(tokens) - window, size=batch)
        yield torch.from_numpy(np.stack([tokens[start : start + window + 1] for start in starts]).astype(np.int64))


def consecutive_windows(tokens: Array, window: int, batch: int) -> Iterator[torch.Tensor]:
    """All (≤ batch, window + 1) int64 batches of whole windows, in order."""
    starts = range(0, len(tokens) - window, window)
    for first in range(0, len(starts), batch):
        rows = [tokens[start : start + window + 1] for start in starts[first : first + batch]]
        yield torch.from_numpy(np.stack(rows).astype(np.int64))
