"""Null models of a block's steps: each keeps something of the steps s_i and does not depend on where row i is.

mean_step       s̄ = (1/q) Σ_j s_j for every row: the block as a drift
permuted_step   s_π(i), the step of another row: the distribution of the steps, not their relation to the rows
random_step     ‖s_i‖ u_i with u_i uniform on the unit sphere: the lengths alone
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from service.norms import row_norms

Array = np.ndarray
NullKind = Literal["mean_step", "permuted_step", "random_step"]
NULLS: tuple[NullKind, ...] = ("mean_step", "permuted_step", "random_step")


def null_steps(steps: Array, others: Array | None, rng: np.random.Generator) -> Iterator[tuple[NullKind, Array | None]]:
    """The steps of each null model, one model at a time, since each is as large as the rows.

    Args:
        steps: (q, n) of the block.
        others: (q,) π, as `other_rows`; None where a row has no other: there is no permuted step then.
    """
    yield "mean_step", np.broadcast_to(steps.mean(axis=0), steps.shape)
    yield "permuted_step", None if others is None else steps[others]
    yield "random_step", _random_steps(steps, rng)


def other_rows(documents: Array, seed: int) -> Array | None:
    """(q,) another row for each row, a permutation: of another document where none has more than half of the rows.

    Rows are put in a seeded order in which those of a document stand together; each row's other one is further on by
    the size m of the largest document, or by ⌊q/2⌋ where that is less, around the end to the beginning.

    Args:
        documents: (q,) codes of the rows' documents.

    Returns:
        None for a single row.
    """
    q = len(documents)
    if q < 2:
        return None
    rng = np.random.default_rng(seed)
    _, codes, sizes = np.unique(documents, return_inverse=True, return_counts=True)
    order = np.lexsort((rng.permutation(q), rng.permutation(len(sizes))[codes.reshape(q)]))
    found = np.empty(q, dtype=np.int64)
    found[order] = np.roll(order, -min(int(sizes.max()), q // 2))
    return found


def _random_steps(steps: Array, rng: np.random.Generator) -> Array:
    directions = rng.standard_normal(steps.shape)
    directions *= (row_norms(steps) / np.linalg.norm(directions, axis=1))[:, None]
    return directions
