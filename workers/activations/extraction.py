"""Vectors of sequences of tokens at sites of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from service.contracts.sites import Site
from workers.activations.batches import group_batches, pad_right
from workers.devices.backoff import map_halving
from workers.models.interface import HookedModel

Array = np.ndarray
Position = int | str


@dataclass(frozen=True)
class Extracted:
    """Vectors of m sequences.

    Attributes:
        vectors: per site (m, d_model), or (Σ lengths, d_model) when all positions are kept, in the order given.
        halvings: how often a batch was split because memory ran out: a deviation from the fixed batches.
    """

    vectors: dict[Site, Array]
    halvings: int


def extract(
    model: HookedModel,
    sequences: Sequence[Array],
    sites: Sequence[Site],
    position: Position,
    token_budget: int,
    tick: Callable[[int], None] = lambda done: None,
) -> Extracted:
    """Run `sequences` of tokens through `model` and keep `position` of each: "last", "all" or an index.

    Tokens after the wanted position are not computed: attention is causal.
    """
    if isinstance(position, int):
        sequences = [sequence[: position + 1] for sequence in sequences]
    kept: list[dict[Site, Array] | None] = [None] * len(sequences)
    batches = group_batches([len(sequence) for sequence in sequences], token_budget)
    done = pieces = 0
    for batch in batches:
        parts = map_halving(lambda items: _run(model, [sequences[i] for i in items], sites, position), batch)
        pieces += len(parts)
        rows = [row for part in parts for row in part]
        for index, row in zip(batch, rows, strict=True):
            kept[index] = row
        done += len(batch)
        tick(done)
    vectors = {site: np.concatenate([row[site] for row in kept if row is not None]) for site in sites}
    return Extracted(vectors, pieces - len(batches))


def _run(
    model: HookedModel, sequences: Sequence[Array], sites: Sequence[Site], position: Position
) -> list[dict[Site, Array]]:
    tokens = torch.from_numpy(pad_right(sequences)).to(model.device)
    read = model.read(tokens, sites)
    if position == "all":
        whole = {site: _to_numpy(vectors) for site, vectors in read.items()}
        return [{site: whole[site][i, : len(s)] for site in sites} for i, s in enumerate(sequences)]
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences], device=tokens.device)
    rows = torch.arange(len(sequences), device=tokens.device)
    last = {site: _to_numpy(vectors[rows, ends]) for site, vectors in read.items()}
    return [{site: last[site][i : i + 1] for site in sites} for i in range(len(sequences))]


def _to_numpy(vectors: torch.Tensor) -> Array:
    """The tensor as an array; bfloat16, which numpy lacks, becomes float32, which holds its values exactly."""
    return (vectors.float() if vectors.dtype == torch.bfloat16 else vectors).cpu().numpy()
