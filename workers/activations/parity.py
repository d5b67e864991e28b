"""The deviation of stored vectors from an unbatched float32 forward pass, recorded in every manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from service.contracts.sites import Site
from service.norms import SMALLEST_NORMAL, row_norms
from workers.activations.extraction import Position, extract
from workers.models.decoder import Decoder
from workers.models.gpt2 import GPT2
from workers.models.interface import HookedModel
from workers.models.plain import read_plainly
from workers.models.prefixed import PrefixedModel

Array = np.ndarray


@dataclass(frozen=True)
class Deviation:
    """Over some rows of one site (the field names are keys of manifests).

    Attributes:
        max_deviation: the largest ‖stored − reference‖.
        max_relative_deviation: the largest ‖stored − reference‖ / ‖reference‖.
    """

    max_deviation: float
    max_relative_deviation: float


def deviations(
    model: HookedModel, sequences: Sequence[Array], position: Position, stored: dict[Site, Array]
) -> dict[Site, Deviation]:
    """Per site, how far the rows of `sequences` are from those of each sequence alone in `model`.

    Args:
        model: the model in float32.
        stored: per site the rows of these sequences, in their order.
    """
    sites = list(stored)
    alone = [extract(model, [sequence], sites, position, token_budget=1).vectors for sequence in sequences]
    return {site: _deviation(stored[site], np.concatenate([rows[site] for rows in alone])) for site in sites}


def plain_deviations(
    model: HookedModel, sequences: Sequence[Array], position: Position, stored: dict[Site, Array]
) -> dict[Site, Deviation] | None:
    """The same from the forward pass of Hugging Face's own code; None for a model that it has none for."""
    plain, before = (model.model, 1) if isinstance(model, PrefixedModel) else (model, 0)
    if not isinstance(plain, GPT2 | Decoder):
        return None
    sites = list(stored)
    read: dict[Site, list[Array]] = {site: [] for site in sites}
    for sequence in sequences:
        tokens = torch.from_numpy(np.asarray(sequence, dtype=np.int64)).to(model.device)
        tokens = model.prefix(tokens) if isinstance(model, PrefixedModel) else tokens
        for site, vectors in read_plainly(plain, tokens, sites).items():
            read[site].append(_at(vectors[before:].cpu().numpy(), position))
    return {site: _deviation(stored[site], np.concatenate(read[site])) for site in sites}


def _at(vectors: Array, position: Position) -> Array:
    """The kept positions of (T, D) vectors of one sequence."""
    if position == "all":
        return vectors
    return vectors[-1:] if position == "last" else vectors[int(position) : int(position) + 1]


def _deviation(stored: Array, reference: Array) -> Deviation:
    wide = reference.astype(np.float64)
    gap, norms = row_norms(stored.astype(np.float64) - wide), row_norms(wide)
    return Deviation(float(gap.max()), float((gap / np.maximum(norms, SMALLEST_NORMAL)).max()))
