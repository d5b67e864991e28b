"""The random streams of a run's steps, as functions of (seed, step, rank).

`hashed` is the rule of every new run. `shifted` is the rule of versions before, by which dropout on a CPU did not
depend on the seed, and the first batch of seed 2³² was the second of seed 0. A run that began under it resumes under
it: the saved state says which rule it is.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from workers.devices.seeding import Purpose, seed_sequence, torch_seed

Seeding = Literal["hashed", "shifted"]
SEEDING: Seeding = "hashed"


def seed_dropout(seeding: Seeding, seed: int, step: int, rank: int) -> None:
    """Seed torch's generators for one step of one rank."""
    if seeding == "shifted":
        torch.manual_seed((seed * 2**32 + step + rank * 2**24) % 2**64)
    else:
        torch.manual_seed(torch_seed(seed, Purpose.DROPOUT, step, rank))


def seed_weights(seed: int) -> None:
    """Seed torch's generators for the initial weights of a model."""
    torch.manual_seed(torch_seed(seed, Purpose.WEIGHTS))


def batch_generator(seeding: Seeding, seed: int, place: int) -> np.random.Generator:
    """The generator that draws the batch of a step, or the order of an epoch."""
    shifted = seeding == "shifted"
    sequence = np.random.SeedSequence([seed, place]) if shifted else seed_sequence(seed, place)
    return np.random.Generator(np.random.PCG64(sequence))
