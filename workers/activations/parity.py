"""The deviation of stored vectors from an unbatched float32 forward pass, recorded in every manifest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.contracts.sites import Site
from service.norms import SMALLEST_NORMAL, row_norms
from workers.activations.extraction import Position, extract
from workers.models.interface import HookedModel

Array = np.ndarray


def relative_deviation(
    model: HookedModel, sequences: Sequence[Array], position: Position, stored: dict[Site, Array]
) -> dict[Site, float]:
    """Per site, the largest ‖stored − reference‖ / ‖reference‖ over the rows of `sequences`.

    The reference runs each sequence alone through `model`.

    Args:
        model: the model in float32.
        stored: per site the rows of these sequences, in their order.
    """
    sites = list(stored)
    alone = [extract(model, [sequence], sites, position, token_budget=1).vectors for sequence in sequences]
    deviations = {}
    for site in sites:
        reference = np.concatenate([rows[site] for rows in alone]).astype(np.float64)
        gap = row_norms(stored[site].astype(np.float64) - reference)
        deviations[site] = float((gap / np.maximum(row_norms(reference), SMALLEST_NORMAL)).max())
    return deviations
