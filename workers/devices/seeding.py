"""Random streams from a seed: seeds that differ, and places that differ, give different streams.

numpy's `SeedSequence` hashes its numbers into 128 bits. It reads them as 32-bit words one after another, without their
borders: [2³², 0] is [0, 1, 0]. So a seed is split here into words at fixed positions. torch's generator on a CPU keeps
the low 32 bits of what it is seeded with, so a seed is hashed before: two given streams are then equal with
probability 2⁻³², and never because the seeds differ in high bits only.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

_WORD = 2**32


class Purpose(IntEnum):
    """The purpose of a torch generator's draws; streams of different purposes are different."""

    WEIGHTS = 0
    DROPOUT = 1
    START_VECTORS = 2
    NULL_DRAWS = 3


def seed_sequence(seed: int, place: int) -> np.random.SeedSequence:
    """The stream of numpy at `place` (a step, an epoch, a tile; below 2³²) of a seed below 2⁶⁴.

    For a seed below 2³² it is `SeedSequence([seed, place])`.
    """
    return np.random.SeedSequence([seed % _WORD, place, seed // _WORD])


def torch_seed(seed: int, purpose: Purpose, step: int = 0, rank: int = 0) -> int:
    """64 bits for `torch.manual_seed`, hashed from a seed below 2⁶⁴ and from `step` and `rank` below 2³²."""
    words = [seed % _WORD, seed // _WORD, step, rank]
    sequence = np.random.SeedSequence(words, spawn_key=(purpose,))
    return int(sequence.generate_state(1, np.uint64)[0])
