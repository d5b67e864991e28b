"""The measured recall and bias of approximate indices, and the certificate of the flat one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.neighbors.datasets import gaussian, near_duplicates
from workers.neighbors.approximation import measure_approximation
from workers.neighbors.certificate import float32_bound
from workers.neighbors.faiss_index import FlatIndex, Kind, build_flat, make_index, search_index
from workers.neighbors.faiss_search import _Best, _floor, faiss_neighbors
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.stored import StoredRows

SIZES = [2, 300, 640]


@pytest.mark.parametrize("kind", ["faiss-ivf", "faiss-hnsw"])
def test_recall_and_bias_are_those_of_the_reference(kind: Kind):
    rows, order = gaussian(), seeded_permutation(640, 1)
    stored = StoredRows(rows)
    question = Question(stored, order, SIZES)
    found, _ = faiss_neighbors(kind, question, build_flat(stored))
    measured = measure_approximation(question, found, rows=200)
    for part, reported, size in zip(found, measured, SIZES, strict=True):
        assert part.certified == 0.0
        sampled = min(200, size)
        true = nearest_reference(rows[order[:size]])[0][:sampled, 0]
        mine = part.distances[:sampled, 0]
        there = np.isfinite(mine)
        assert reported is not None
        assert reported.rows == sampled
        assert reported.recall_at_1 == pytest.approx((mine <= true * (1 + 1e-12)).mean())
        assert reported.mean_bias == pytest.approx(mine[there].mean() - true[there].mean(), abs=1e-12)
        assert reported.median_bias == pytest.approx(np.median(mine[there]) - np.median(true[there]), abs=1e-12)
        assert (mine[there] >= true[there] * (1 - 1e-12)).all()


def test_ivf_misses_neighbors_of_isotropic_data():
    """Otherwise the figures above would not be tested."""
    stored = StoredRows(np.random.default_rng(0).standard_normal((4000, 32)).astype(np.float32))
    question = Question.of_all_rows(stored)
    found, _ = faiss_neighbors("faiss-ivf", question, build_flat(stored))
    (reported,) = measure_approximation(question, found, rows=500)
    assert reported is not None
    assert 0.1 < reported.recall_at_1 < 0.99
    assert reported.mean_bias > 0


def test_flat_has_recall_one_and_no_bias():
    stored = StoredRows(near_duplicates())
    question = Question(stored, seeded_permutation(640, 1), SIZES)
    found, _ = faiss_neighbors("faiss-flat", question, build_flat(stored))
    for reported in measure_approximation(question, found, rows=640):
        assert reported is not None
        assert (reported.recall_at_1, reported.mean_bias, reported.median_bias) == (1.0, 0.0, 0.0)


def test_flat_sends_what_it_cannot_prove_to_the_exact_engine():
    """About the origin instead of the rows' centre, float32 cannot order near-duplicates."""
    rows = near_duplicates() + 1e4 * np.eye(256, dtype=np.float32)[0]
    stored = StoredRows(rows)
    scaled = rows.astype(np.float64) * 2.0**-14
    index = FlatIndex(scaled.astype(np.float32), np.linalg.norm(scaled, axis=1), 2.0**-14)
    (found,), work = faiss_neighbors("faiss-flat", Question.of_all_rows(stored), index)
    assert work.lifted > 0
    distances, _ = nearest_reference(rows)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_the_floor_under_the_rows_that_a_flat_index_leaves_out(k: int):
    """The rounding bound at the norm that such a row can have; a far outlier does not loosen it."""
    rows = np.concatenate([gaussian(), 1e4 * np.ones((1, 256), dtype=np.float32)])
    index = build_flat(StoredRows(rows))
    queries = np.arange(100)
    filtered_sq, ids = search_index(make_index("faiss-flat", index.rows), index.rows[queries], k + 1)
    distances = np.linalg.norm(rows[queries, None].astype(np.float64) - rows[ids], axis=2)
    distances[ids == queries[:, None]] = np.inf
    best = _Best(np.full((100, k), np.inf), np.full((100, k), -1), np.full(100, np.inf))
    limit = np.sort(np.hstack([best.distances, distances]), axis=1)[:, k - 1]
    norms = index.norms[queries]
    longest = np.minimum(norms + limit * index.scale, index.norms.max())
    bound = float32_bound(256).lower(filtered_sq[:, -1], norms + longest) / index.scale
    found = _floor(index, queries, filtered_sq[:, -1], best, distances[:, ::-1])
    assert (bound < limit).all()  # else nothing below would test the bound
    assert (longest < index.norms.max()).all()
    assert (found <= np.minimum(bound, limit)).all()
    np.testing.assert_allclose(found, np.minimum(bound, limit), rtol=1e-9)
    assert (found > 0).any()


@pytest.mark.parametrize("kind", ["faiss-ivf", "faiss-hnsw"])
def test_rows_whose_candidates_are_all_of_their_document_still_get_neighbours(kind: Kind):
    """Two tight documents of 100 rows: the nearest rows of each row are of its own document."""
    rng = np.random.default_rng(0)
    rows = (np.repeat([[0.0] * 8, [5.0] * 8], 100, axis=0) + 0.1 * rng.standard_normal((200, 8))).astype(np.float32)
    documents, stored = np.arange(200) // 100, StoredRows(rows)
    (found,), work = faiss_neighbors(kind, Question.of_all_rows(stored, codes=documents), build_flat(stored))
    assert work.lifted > 0
    np.testing.assert_allclose(found.distances, nearest_reference(rows, 1, documents)[0], rtol=1e-12)
