"""The engine returns what the float64 reference returns, on data where FAISS alone does not."""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
import pytest

from tests.neighbors.datasets import HARD, massive_dimension, near_duplicates, offset_1e4_float32
from workers.neighbors.faiss_index import build_flat
from workers.neighbors.nested import Neighbors, nested_neighbors
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.reference import nearest_reference

Array = np.ndarray
FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def search(rows: Array, *, k: int = 1, documents: Array | None = None, seed: int = 1) -> list[Neighbors]:
    index = build_flat(rows)
    sizes = prefix_sizes(len(rows), FRACTIONS)
    return nested_neighbors(rows, index, seeded_permutation(len(rows), seed), sizes, k=k, documents=documents)[0]


def assert_equals_reference(found: Neighbors, rows: Array, k: int, documents: Array | None) -> None:
    """Distances to 1e-6 relative (in fact far closer), ids up to ties."""
    distances, ids = nearest_reference(rows[found.rows], k, None if documents is None else documents[found.rows])
    ids = np.where(ids >= 0, found.rows[ids], -1)
    there = np.isfinite(distances)
    assert (np.isfinite(found.distances) == there).all()
    np.testing.assert_allclose(found.distances[there], distances[there], rtol=1e-12, atol=0)
    tied = there & np.isclose(found.distances, distances, rtol=1e-12, atol=0)
    assert ((found.ids == ids) | tied).all()
    assert (found.ids[~there] == -1).all()
    assert found.certified == 1.0


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("by_document", [False, True], ids=["self", "same_document"])
def test_every_prefix_equals_the_reference(make: Callable[[], Array], k: int, by_document: bool):
    rows = make()
    documents = np.arange(len(rows)) // 7 if by_document else None
    for found in search(rows, k=k, documents=documents):
        assert_equals_reference(found, rows, k, documents)


@pytest.mark.parametrize("make", [massive_dimension, offset_1e4_float32, near_duplicates], ids=lambda m: m.__name__)
def test_plain_faiss_is_wrong_on_the_same_data(make: Callable[[], Array]):
    """Why the engine exists; if FAISS becomes right here, these data no longer test anything."""
    rows = make().astype(np.float32)
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    found = index.search(rows, 2)[1]
    nearest = np.where(found[:, 0] == np.arange(len(rows)), found[:, 1], found[:, 0])
    distances, _ = nearest_reference(rows)
    true = np.linalg.norm(rows.astype(np.float64) - rows[nearest], axis=1)
    assert (true > distances[:, 0] * (1 + 1e-6)).sum() > 0


def test_without_centring_the_certificate_still_holds():
    """The centre only makes the filter sharp; what it leaves in doubt is re-scored."""
    rows = massive_dimension()
    index = build_flat(rows, np.zeros(rows.shape[1]))
    permutation = seeded_permutation(len(rows), 0)
    (found,), work = nested_neighbors(rows, index, permutation, [len(rows)])
    assert_equals_reference(found, rows, 1, None)
    assert work.pairs_rescored > 10 * len(rows)


def test_an_engine_without_its_certificate_would_be_caught(monkeypatch: pytest.MonkeyPatch):
    """Blind trust in the filter gives a wrong neighbour on these data."""
    from workers.neighbors.state import NeighborState

    monkeypatch.setattr(NeighborState, "certified", property(lambda state: np.ones(len(state.floor), dtype=bool)))
    monkeypatch.setattr("workers.neighbors.nested.OVER_FETCH", 0)
    rows = near_duplicates() + 1e4 * np.eye(256, dtype=np.float32)[0]
    index = build_flat(rows, np.zeros(rows.shape[1]))
    (found,), _ = nested_neighbors(rows, index, seeded_permutation(len(rows), 0), [len(rows)])
    distances, _ = nearest_reference(rows[found.rows])
    assert (found.distances > distances * (1 + 1e-6)).any()


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("tile", [97, 2048])
def test_the_float64_level_alone_is_exact(make: Callable[[], Array], tile: int, monkeypatch: pytest.MonkeyPatch):
    """Nothing centred, nothing fetched beyond k: almost every row goes up."""
    monkeypatch.setattr("workers.neighbors.nested.OVER_FETCH", 0)
    monkeypatch.setattr("workers.neighbors.nested.WIDER_FETCHES", ())
    monkeypatch.setattr("workers.neighbors.nested._TILE", tile)
    rows = make()
    documents = np.arange(len(rows)) // 7
    index = build_flat(rows, np.zeros(rows.shape[1]))
    sizes = prefix_sizes(len(rows), FRACTIONS)
    parts, work = nested_neighbors(rows, index, seeded_permutation(len(rows), 2), sizes, k=2, documents=documents)
    for found in parts:
        assert_equals_reference(found, rows, 2, documents)
    assert work.float64_rows > 0 or len(np.unique(rows, axis=0)) <= 2


def test_a_far_outlier_does_not_lift_the_others():
    rows = HARD[0]()
    rows[5] *= 1e9
    index = build_flat(rows)
    _, work = nested_neighbors(rows, index, seeded_permutation(len(rows), 0), [len(rows)])
    assert work.float64_rows <= 2


def test_a_document_without_others_leaves_no_neighbor():
    rows = HARD[0]()
    found = search(rows, documents=np.zeros(len(rows), dtype=np.int64))[-1]
    assert (found.ids == -1).all()
    assert np.isinf(found.distances).all()


def test_more_neighbors_than_rows_are_padded():
    rows = HARD[0]()[:3]
    found = search(rows, k=5)[-1]
    assert (found.ids >= 0).sum(axis=1).tolist() == [2, 2, 2]


def test_prefixes_under_two_rows_have_no_neighbor():
    rows = HARD[0]()[:4]
    index = build_flat(rows)
    none, one, all_rows = nested_neighbors(rows, index, seeded_permutation(4, 0), [0, 1, 4])[0]
    assert len(none.distances) == 0
    assert np.isinf(one.distances).all()
    assert np.isfinite(all_rows.distances).all()
