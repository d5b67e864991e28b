"""The error of an approximate engine, measured on a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_for_rows
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question

Array = np.ndarray


@dataclass(frozen=True)
class Approximation:
    """Recall and bias of one prefix; the biases are over the rows for which the engine found any neighbour.

    Attributes:
        rows: sampled rows that have a neighbour.
        recall_at_1: share whose nearest neighbour is at the exact distance (ties count as found).
        mean_bias, median_bias: approximate minus exact nn_distance; never negative but for rounding.
    """

    rows: int
    recall_at_1: float
    mean_bias: float
    median_bias: float


def measure_approximation(
    question: Question, answers: Sequence[Neighbors], *, rows: int, options: SearchOptions = SearchOptions()
) -> list[Approximation | None]:
    """Search the first `rows` rows of each prefix again, exactly; None for a prefix whose sample has no neighbours."""
    sample = question.order[:rows].numpy()
    exact = exact_for_rows(replace(question, k=1), sample, options)
    triples = zip(answers, exact, question.sizes, strict=True)
    return [_compare(found, true, min(rows, size)) for found, true, size in triples]


def _compare(found: Neighbors, exact: Neighbors, rows: int) -> Approximation | None:
    true, approximate = exact.distances[:rows, 0], found.distances[:rows, 0]
    there, both = np.isfinite(true), np.isfinite(true) & np.isfinite(approximate)
    if not both.any():
        return None
    hit = there & (approximate <= true * (1 + 1e-12))
    return Approximation(
        rows=int(there.sum()),
        recall_at_1=float(hit.sum() / there.sum()),
        mean_bias=float(approximate[both].mean() - true[both].mean()),
        median_bias=float(np.median(approximate[both]) - np.median(true[both])),
    )
