"""The nearest row of another document than the nearest row's, against all distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from workers.neighbors.exact import exact_neighbors
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.statistics.nearest_documents import nearest_of_two_documents

Array = np.ndarray
N = 300


def directly(rows: Array, codes: Array, *, exclude: bool) -> tuple[Array, Array, Array]:
    distances = cdist(rows, rows)
    admissible = ~np.eye(len(rows), dtype=bool)
    if exclude:
        admissible &= codes[:, None] != codes
    distances = np.where(admissible, distances, np.inf)
    first = distances.argmin(axis=1)
    second = np.where(codes[first][:, None] != codes, distances, np.inf)
    return distances.min(axis=1), codes[first], second.min(axis=1)


@pytest.mark.parametrize("exclude", [False, True], ids=["self", "same_document"])
@pytest.mark.parametrize("k", [1, 3, 64])
@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0])
def test_both_distances_are_those_of_all_pairs(spread: float, k: int, exclude: bool):
    """From documents that are far apart, so that all lists are of one document, to none at all."""
    generator = np.random.Generator(np.random.PCG64(4))
    codes = np.sort(generator.integers(0, 6, N))
    rows = (spread * generator.standard_normal((6, 5))[codes] + generator.standard_normal((N, 5))).astype(np.float32)
    order = seeded_permutation(N, 1)[:200]
    question = Question(StoredRows(rows), order, [200], k, codes if exclude else None)
    (found,), _ = exact_neighbors(question)
    nearest = nearest_of_two_documents(question, found, codes)
    first, document, second = directly(rows[order].astype(np.float64), codes[order], exclude=exclude)
    assert nearest.first == pytest.approx(first, rel=1e-12)
    assert (nearest.document == document).all()
    assert nearest.second == pytest.approx(second, rel=1e-12)


def test_no_other_document_is_no_distance():
    rows = StoredRows(np.random.default_rng(0).standard_normal((40, 3), dtype=np.float32))
    question = Question.of_all_rows(rows)
    (found,), _ = exact_neighbors(question)
    nearest = nearest_of_two_documents(question, found, np.zeros(40, dtype=np.int64))
    assert np.isinf(nearest.second).all()
