"""Other queries than the database's own rows, memory that runs out, equal rows, and progress."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.errors import InvalidInput, OutOfMemory
from tests.neighbors.datasets import gaussian, near_duplicates
from tests.neighbors.engines import FRACTIONS, assert_equals_reference, search
from workers.neighbors.encoding import Encoding
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
BFLOAT16 = SearchOptions(format=torch.bfloat16, tile=128)


def brute(queries: Array, rows: Array, ids: Array, k: int, allowed: Array) -> Array:
    """(m, k) distances to the nearest allowed rows among `ids`, inf where there are fewer."""
    gaps = np.stack([np.sqrt(((rows[ids].astype(np.float64) - query) ** 2).sum(axis=1)) for query in queries])
    gaps = np.where(allowed[:, ids], gaps, np.inf)
    gaps = np.hstack([gaps, np.full((len(queries), k), np.inf)])
    return np.sort(gaps, axis=1)[:, :k]


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_queries_from_elsewhere(k: int, coded: bool, offset: float):
    rng = np.random.default_rng(0)
    rows, queries = (
        near_duplicates() + offset,
        near_duplicates()[:150] + offset + 0.01 * rng.standard_normal((150, 256)),
    )
    codes = np.arange(len(rows)) // 10 if coded else None
    query_codes = np.arange(150) // 10 if coded else None
    allowed = np.ones((150, len(rows)), dtype=bool) if codes is None else query_codes[:, None] != codes  # type: ignore[index]
    order, sizes = seeded_permutation(len(rows), 1), [0, 5, 300, 640]
    question = Question(StoredRows(rows), order, sizes, k, codes, StoredRows(queries), query_codes)
    found, _ = exact_neighbors(question, BFLOAT16)
    for part, size in zip(found, sizes, strict=True):
        assert part.rows.tolist() == list(range(150))
        expected = brute(queries, rows, order[:size], k, allowed)
        np.testing.assert_allclose(part.distances, expected, rtol=1e-12)
        there = np.isfinite(expected)
        gap = np.linalg.norm(queries[:, None] - rows[part.ids].astype(np.float64), axis=2)
        np.testing.assert_allclose(gap[there], expected[there], rtol=1e-12)


def test_a_query_that_is_a_row_finds_it():
    """Between sets nothing is excluded unless codes say so."""
    rows = near_duplicates()
    question = Question(StoredRows(rows), np.arange(640), [640], queries=StoredRows(rows[7:9].copy()))
    found, _ = exact_neighbors(question)
    assert found[0].ids[:, 0].tolist() == [7, 8]
    assert (found[0].distances == 0).all()


def test_queries_of_other_dimensions_are_refused():
    with pytest.raises(InvalidInput, match="3 dimensions, the database 256") as caught:
        Question(StoredRows(near_duplicates()), np.arange(640), [640], queries=StoredRows(np.ones((2, 3))))
    assert caught.value.field == "reference"


@pytest.mark.parametrize("k", [1, 3])
def test_out_of_memory_halves_the_tile_and_changes_nothing(monkeypatch: pytest.MonkeyPatch, k: int):
    rows, product = near_duplicates(), Encoding.product
    expected = search(rows, k=k)
    refused = []

    def small_memory(self: Encoding, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if len(right) > 100:
            refused.append(len(right))
            raise torch.OutOfMemoryError
        return product(self, left, right)

    monkeypatch.setattr(Encoding, "product", small_memory)
    order, sizes = seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS)
    options = SearchOptions(format=torch.bfloat16, tile=512)
    found, _ = exact_neighbors(Question(StoredRows(rows), order, sizes, k), options)
    assert refused
    for a, b in zip(expected, found, strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def test_a_device_that_holds_no_tile_is_an_error(monkeypatch: pytest.MonkeyPatch):
    def no_memory(self: Encoding, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Encoding, "product", no_memory)
    with pytest.raises(OutOfMemory):
        search(near_duplicates())


def test_a_thousand_copies_cost_what_two_do():
    rng = np.random.default_rng(0)
    distinct = rng.standard_normal((300, 32))
    rows = np.concatenate([distinct, np.repeat(distinct[:1], 2000, axis=0), np.repeat(distinct[1:2], 40, axis=0)])
    order, sizes = rng.permutation(len(rows)), [600, len(rows)]
    found, work = exact_neighbors(Question(StoredRows(rows), order, sizes, 3), BFLOAT16)
    assert work.float64_rows == 0
    assert work.duplicates >= 2041
    assert work.candidates < 20 * len(distinct)
    for part in found:
        assert_equals_reference(part, rows, 3, None)
    copies = np.sort(np.concatenate([[0], np.arange(300, 2300)]))
    of_copy = found[-1].ids[np.isin(found[-1].rows, copies[10:])]
    assert (of_copy == copies[:3]).all()  # the smallest ids, whatever the search


@pytest.mark.parametrize("k", [1, 3])
def test_copies_within_and_across_documents(k: int):
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.standard_normal((20, 8)), 30, axis=0)
    codes = rng.integers(0, 4, len(rows))
    for found in search(rows, k=k, codes=codes):
        assert_equals_reference(found, rows, k, codes)
    alone = np.arange(len(rows)) // 30  # all copies of a row are of one document
    for found in search(rows, k=k, codes=alone):
        assert_equals_reference(found, rows, k, alone)


def test_zero_and_minus_zero_are_at_distance_zero():
    rows = np.zeros((5, 3))
    rows[2] = -0.0
    found, _ = exact_neighbors(Question.of_all_rows(StoredRows(rows)))
    assert (found[0].distances == 0).all()


@pytest.mark.long
def test_an_outlier_lifts_no_row_but_itself():
    rows = np.random.default_rng(0).standard_normal((3000, 64)).astype(np.float32)
    rows[5] *= 1e5
    found, work = exact_neighbors(Question.of_all_rows(StoredRows(rows)), BFLOAT16)
    assert work.float64_rows <= 1
    assert_equals_reference(found[0], rows, 1, None)


def test_progress_is_reported_to_the_end():
    shares: list[float] = []
    exact_neighbors(Question.of_all_rows(StoredRows(near_duplicates())), BFLOAT16, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) == 15  # half of 5 × 5 tiles, the diagonal included


def test_a_device_that_multiplies_wrongly_is_detected(monkeypatch: pytest.MonkeyPatch):
    """Products a tenth too small make bounds that the rescored distances contradict; the rows go to float64."""
    rows, values = gaussian(), Encoding.values
    monkeypatch.setattr(Encoding, "values", lambda self, product: 0.9 * values(self, product))
    found, work = exact_neighbors(Question.of_all_rows(StoredRows(rows)), BFLOAT16)
    assert work.float64_rows > 0
    assert_equals_reference(found[0], rows, 1, None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("stray", [np.nan, 1e100])
def test_a_row_outside_the_search_does_not_matter(dtype: torch.dtype, stray: float):
    """Row 0 stands in for empty slots when they are read."""
    rows = np.random.default_rng(0).standard_normal((101, 16))
    rows[0] = stray
    found, _ = exact_neighbors(Question(StoredRows(rows), np.arange(1, 101), [100]), SearchOptions(format=dtype))
    expected = search(rows[1:])[-1]
    assert (np.sort(found[0].distances, axis=0) == np.sort(expected.distances, axis=0)).all()


def test_sets_of_different_precision_far_from_the_origin():
    """Both are centred at the same number, to the last bit."""
    rng = np.random.default_rng(0)
    queries = (rng.standard_normal((50, 64)) + 1e6).astype(np.float32)
    rows = np.repeat(queries.astype(np.float64), 6, axis=0) + 0.01 * rng.standard_normal((300, 64))
    question = Question(StoredRows(rows), np.arange(300), [300], queries=StoredRows(queries))
    found, _ = exact_neighbors(question, BFLOAT16)
    expected = brute(queries.astype(np.float64), rows, np.arange(300), 1, np.ones((50, 300), dtype=bool))
    np.testing.assert_allclose(found[0].distances, expected, rtol=1e-12)
