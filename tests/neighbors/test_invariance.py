"""For given stored vectors the answer does not depend on how it was computed."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.neighbors.datasets import gaussian, near_duplicates
from tests.neighbors.test_exact import assert_equals_reference, search
from workers.neighbors.faiss_index import build_flat
from workers.neighbors.nested import nested_neighbors
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.state import NeighborState, empty_state, merge

Array = np.ndarray


@pytest.mark.parametrize("block", [1, 7, 166, 1000])
def test_the_block_of_queries_changes_nothing(monkeypatch: pytest.MonkeyPatch, block: int):
    rows = near_duplicates()[:200]
    expected = search(rows, k=2)
    monkeypatch.setattr("workers.neighbors.nested._QUERY_BLOCK", block)
    for a, b in zip(expected, search(rows, k=2), strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def test_the_number_of_threads_changes_nothing():
    rows = gaussian()
    before = faiss.omp_get_max_threads()
    answers = []
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        answers.append(search(rows)[-1])
    faiss.omp_set_num_threads(before)
    assert (answers[0].distances == answers[1].distances).all()
    assert (answers[0].ids == answers[1].ids).all()


def test_translation_changes_nothing():
    """By a power of two that float64 adds without rounding."""
    rows = np.round(gaussian().astype(np.float64) * 2**20) / 2**20
    a, b = search(rows)[-1], search(rows + 4096.0)[-1]
    assert (a.distances == b.distances).all()
    assert (a.ids == b.ids).all()


def test_the_order_of_rows_changes_names_only():
    rows = gaussian()
    shuffle = np.random.default_rng(5).permutation(len(rows))
    distance_of = {int(i): float(d) for i, d in zip(*_flat(search(rows)[-1]), strict=True)}
    for row, distance in zip(*_flat(search(rows[shuffle])[-1]), strict=True):
        assert distance_of[int(shuffle[row])] == distance


def test_zero_padding_changes_nothing_but_rounding():
    rows = gaussian()
    padded = np.hstack([rows, np.zeros((len(rows), 16), dtype=rows.dtype)])
    a, b = search(rows)[-1], search(padded)[-1]
    np.testing.assert_allclose(a.distances, b.distances, rtol=1e-14)
    assert (a.ids == b.ids).all()


def test_a_fraction_is_what_a_search_of_its_rows_alone_gives():
    rows = gaussian()
    permutation = seeded_permutation(len(rows), 1)
    sizes = prefix_sizes(len(rows), (0.25, 0.5, 0.75, 1.0))
    for found, size in zip(search(rows), sizes, strict=True):
        alone = rows[permutation[:size]]
        (only,), _ = nested_neighbors(alone, build_flat(alone), np.arange(size), [size])
        assert (found.distances == only.distances).all()


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=24),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    st.integers(1, 3),
)
def test_any_finite_rows_equal_the_reference(rows: Array, k: int):
    for found in search(rows, k=k):
        assert_equals_reference(found, rows, k, None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**16), min_size=3, max_size=3), st.integers(1, 4))
def test_merging_is_associative_commutative_and_has_a_neutral_element(seeds: list[int], k: int):
    a, b, c = (_random_state(seed, part, k) for part, seed in enumerate(seeds))
    for left, right in [(merge(merge(a, b), c), merge(a, merge(b, c))), (merge(a, b), merge(b, a))]:
        _assert_same(left, right)
    _assert_same(merge(a, empty_state(3, k)), a)


def _random_state(seed: int, part: int, k: int) -> NeighborState:
    rng = np.random.default_rng(seed)
    distances = np.sort(rng.integers(0, 5, (3, k)).astype(float), axis=1)  # few values, so that ties are common
    ids = np.sort(rng.permuted(np.tile(np.arange(10), (3, 1)), axis=1)[:, :k], axis=1) + 10 * part
    return NeighborState(distances, ids, rng.random(3))


def _assert_same(a: NeighborState, b: NeighborState) -> None:
    assert (a.distances == b.distances).all()
    assert (a.ids == b.ids).all()
    assert (a.floor == b.floor).all()


def _flat(found):
    return found.rows, found.distances[:, 0]
