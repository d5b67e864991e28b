"""Every exact engine returns what the float64 reference returns, on data where FAISS alone does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from service.errors import InvalidInput, NonFiniteData
from tests.neighbors.datasets import (
    HARD,
    exact_duplicates,
    gaussian,
    half_precision,
    massive_dimension,
    near_duplicates,
    offset_1e4_float32,
    one_dimension,
)
from tests.neighbors.engines import EXACT, Engine, assert_equals_reference, search
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.stored import StoredRows

Array = np.ndarray
engines = pytest.mark.parametrize("engine", EXACT, ids=lambda engine: engine.__name__)
TIED = (near_duplicates, exact_duplicates, one_dimension, half_precision)  # many distances are equal, or nearly


def cases() -> Iterator[Any]:
    """The nearest other row in all data, and five of other documents where there are ties; the soak tries the rest."""
    for make, k, by_document in product(HARD, (1, 5), (False, True)):
        short = (k, by_document) == (1, False) or ((k, by_document) == (5, True) and make in TIED)
        name = f"{make.__name__}-{k}-{'same_document' if by_document else 'self'}"
        yield pytest.param(make, k, by_document, id=name, marks=() if short else pytest.mark.long)


@engines
@pytest.mark.parametrize(("make", "k", "by_document"), list(cases()))
def test_every_prefix_equals_the_reference(engine: Engine, make: Callable[[], Array], k: int, by_document: bool):
    rows = make()
    documents = np.arange(len(rows)) // 7 if by_document else None
    for found in search(rows, engine=engine, k=k, codes=documents):
        assert_equals_reference(found, rows, k, documents)


@engines
def test_sixty_four_neighbors(engine: Engine):
    rows = near_duplicates()
    for found in search(rows, engine=engine, k=64):
        assert_equals_reference(found, rows, 64, None)


@pytest.mark.parametrize("make", [massive_dimension, offset_1e4_float32, near_duplicates], ids=lambda m: m.__name__)
def test_plain_faiss_is_wrong_on_the_same_data(make: Callable[[], Array]):
    """Why the engines exist; if FAISS becomes right here, these data no longer test anything."""
    rows = make().astype(np.float32)
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    found = index.search(rows, 2)[1]
    nearest = np.where(found[:, 0] == np.arange(len(rows)), found[:, 1], found[:, 0])
    distances, _ = nearest_reference(rows)
    true = np.linalg.norm(rows.astype(np.float64) - rows[nearest], axis=1)
    assert (true > distances[:, 0] * (1 + 1e-6)).sum() > 0


@engines
def test_a_document_without_others_leaves_no_neighbor(engine: Engine):
    rows = gaussian()
    found = search(rows, engine=engine, codes=np.zeros(len(rows), dtype=np.int64))[-1]
    assert (found.ids == -1).all()
    assert np.isinf(found.distances).all()


@engines
def test_more_neighbors_than_rows_are_padded(engine: Engine):
    found = search(gaussian()[:3], engine=engine, k=5)[-1]
    assert (found.ids >= 0).sum(axis=1).tolist() == [2, 2, 2]


@engines
def test_prefixes_under_two_rows_have_no_neighbor(engine: Engine):
    none, one, all_rows = engine(gaussian()[:4], seeded_permutation(4, 0), [0, 1, 4])
    assert len(none.distances) == 0
    assert np.isinf(one.distances).all()
    assert np.isfinite(all_rows.distances).all()


@engines
def test_no_rows_at_all(engine: Engine):
    assert [len(found.rows) for found in engine(gaussian()[:3], np.arange(3), [0, 0])] == [0, 0]


def test_a_curve_of_many_sizes_is_one_search():
    rows = near_duplicates()
    order, sizes = seeded_permutation(len(rows), 3), list(range(20, 641, 20))
    found, _ = exact_neighbors(Question(StoredRows(rows), order, sizes), SearchOptions(format=torch.bfloat16))
    assert len(found) == 32
    for part in found[::6]:
        assert_equals_reference(part, rows, 1, None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused(bad: float):
    rows = gaussian()
    rows[17, 3] = bad
    with pytest.raises(NonFiniteData):
        search(rows)


def test_norms_beyond_a_double_are_refused():
    with pytest.raises(NonFiniteData):
        search(np.full((3, 2), 1e308) * [[1], [-1], [1]])


def test_sizes_that_decrease_are_refused():
    with pytest.raises(InvalidInput, match="decrease"):
        Question(StoredRows(gaussian()), np.arange(640), [10, 5])


def test_what_tick_raises_ends_the_search():
    shares: list[float] = []

    def stop(share: float) -> None:
        shares.append(share)
        if len(shares) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exact_neighbors(Question.of_all_rows(StoredRows(gaussian())), SearchOptions(tile=64), stop)
    assert 0 < shares[0] < shares[1] < shares[2] < 1
