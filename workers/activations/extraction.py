"""Vectors of sequences of tokens at sites of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from service.contracts.sites import FINAL_NORM, Site
from workers.activations.batches import group_batches, pad_right
from workers.activations.next_token_loss import mean_losses
from workers.devices.backoff import map_halving
from workers.models.interface import HookedModel, take_positions

Array = np.ndarray
Position = int | str


@dataclass(frozen=True)
class Extracted:
    """Vectors of m sequences.

    Attributes:
        vectors: per site (m, d_model), or (Σ lengths, d_model) when all positions are kept, in the order given.
        halvings: how often a batch was split because memory ran out: a deviation from the fixed batches.
        losses: (m,) float64 mean next-token loss of each sequence, in nats per token; None where it was not asked for.
    """

    vectors: dict[Site, Array]
    halvings: int
    losses: Array | None = None


@dataclass(frozen=True)
class _Kept:
    """The kept values of one sequence."""

    vectors: dict[Site, Array]
    loss: float | None


def extract(
    model: HookedModel,
    sequences: Sequence[Array],
    sites: Sequence[Site],
    position: Position,
    token_budget: int,
    tick: Callable[[int], None] = lambda done: None,
    *,
    loss: bool = False,
) -> Extracted:
    """Run `sequences` of tokens through `model` and keep `position` of each: "last", "all" or an index.

    Tokens after the wanted position are not computed, as attention is causal; with `loss`, all are.
    """
    if isinstance(position, int) and not loss:
        sequences = [sequence[: position + 1] for sequence in sequences]
    kept: list[_Kept | None] = [None] * len(sequences)
    batches = group_batches([len(sequence) for sequence in sequences], token_budget)
    done = pieces = 0
    for batch in batches:
        parts = map_halving(lambda items: _run(model, [sequences[i] for i in items], sites, position, loss), batch)
        pieces += len(parts)
        rows = [row for part in parts for row in part]
        for index, row in zip(batch, rows, strict=True):
            kept[index] = row
        done += len(batch)
        tick(done)
    rows = [row for row in kept if row is not None]
    vectors = {site: np.concatenate([row.vectors[site] for row in rows]) for site in sites}
    return Extracted(vectors, pieces - len(batches), np.array([row.loss for row in rows]) if loss else None)


def _run(
    model: HookedModel, sequences: Sequence[Array], sites: Sequence[Site], position: Position, loss: bool
) -> list[_Kept]:
    tokens = torch.from_numpy(pad_right(sequences)).to(model.device)
    lengths = [len(sequence) for sequence in sequences]
    at = _ends(lengths, position)
    at = None if at is None else at.to(model.device)
    last = Site(model.sizes.n_layers, FINAL_NORM)
    if loss:
        read = model.read(tokens, [*sites, last])
        losses = mean_losses(model, read[last], sequences).tolist()
        kept = {site: _to_numpy(take_positions(read[site], at)) for site in sites}
    else:
        losses = [None] * len(sequences)
        kept = {site: _to_numpy(vectors) for site, vectors in model.read(tokens, sites, at).items()}
    counts = lengths if at is None else [1] * len(lengths)
    rows = [{site: kept[site][i, :count] for site in sites} for i, count in enumerate(counts)]
    return [_Kept(vectors, of_row) for vectors, of_row in zip(rows, losses, strict=True)]


def _ends(lengths: list[int], position: Position) -> torch.Tensor | None:
    """(m,) the kept position of each sequence; None where all are kept."""
    if position == "all":
        return None
    return torch.tensor([length - 1 if position == "last" else int(position) for length in lengths])


def _to_numpy(vectors: torch.Tensor) -> Array:
    """The tensor as an array; bfloat16, which numpy lacks, becomes float32, which holds its values exactly."""
    return (vectors.float() if vectors.dtype == torch.bfloat16 else vectors).cpu().numpy()
