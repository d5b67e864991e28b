"""For given stored vectors the answer does not depend on how it was computed."""

from __future__ import annotations

from itertools import product

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.examples import examples
from tests.neighbors.datasets import exact_duplicates, gaussian, near_duplicates
from tests.neighbors.engines import EXACT, FRACTIONS, Engine, assert_equals_reference, bfloat16, search
from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
engines = pytest.mark.parametrize("engine", EXACT, ids=lambda engine: engine.__name__)

TILES, DTYPES = (64, 128, 192, 4096), (torch.bfloat16, torch.float32)
# Each tile once, and each pair of dtype and memory once; all combinations are in the soak.
SHORT = set(zip(TILES, (*DTYPES, *DTYPES), (False, False, True, True), strict=True))
WAYS = [
    pytest.param(*way, marks=() if way in SHORT else pytest.mark.long) for way in product(TILES, DTYPES, (True, False))
]


def assert_same(a: Neighbors, b: Neighbors) -> None:
    assert (a.distances == b.distances).all()
    assert (a.ids == b.ids).all()


@pytest.mark.parametrize(("tile", "dtype", "resident"), WAYS)
@pytest.mark.parametrize("rows", [near_duplicates(), exact_duplicates()], ids=["near", "exact"])
def test_neither_tile_nor_format_nor_memory_changes_a_bit(rows: Array, tile: int, dtype: torch.dtype, resident: bool):
    """Not even which of several equal rows is named."""
    order, sizes = seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS)
    options = SearchOptions(format=dtype, tile=tile, resident=resident)
    found, _ = exact_neighbors(Question(StoredRows(rows), order, sizes, 2), options)
    for a, b in zip(search(rows, k=2), found, strict=True):
        assert_same(a, b)


@engines
def test_the_number_of_threads_changes_nothing(engine: Engine):
    rows = gaussian()
    before = faiss.omp_get_max_threads(), torch.get_num_threads()
    answers = []
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        torch.set_num_threads(threads)
        answers.append(search(rows, engine=engine)[-1])
    faiss.omp_set_num_threads(before[0])
    torch.set_num_threads(before[1])
    assert_same(*answers)


@engines
def test_translation_changes_nothing(engine: Engine):
    """By a power of two that float64 adds without rounding."""
    rows = np.round(gaussian().astype(np.float64) * 2**20) / 2**20
    assert_same(search(rows, engine=engine)[-1], search(rows + 4096.0, engine=engine)[-1])


@engines
def test_the_order_of_rows_changes_names_only(engine: Engine):
    rows = gaussian()
    shuffle = np.random.default_rng(5).permutation(len(rows))
    found, shuffled = search(rows, engine=engine)[-1], search(rows[shuffle], engine=engine)[-1]
    distance_of = {int(i): float(d) for i, d in zip(found.rows, found.distances[:, 0], strict=True)}
    for row, distance in zip(shuffled.rows, shuffled.distances[:, 0], strict=True):
        assert distance_of[int(shuffle[row])] == pytest.approx(distance, rel=1e-15)


def test_zero_padding_changes_nothing_but_rounding():
    rows = gaussian()
    padded = np.hstack([rows, np.zeros((len(rows), 16), dtype=rows.dtype)])
    a, b = search(rows)[-1], search(padded)[-1]
    np.testing.assert_allclose(a.distances, b.distances, rtol=1e-14)
    assert (a.ids == b.ids).all()


@engines
def test_a_fraction_is_what_a_search_of_its_rows_alone_gives(engine: Engine):
    rows = gaussian()
    permutation = seeded_permutation(len(rows), 1)
    sizes = prefix_sizes(len(rows), FRACTIONS)
    for found, size in zip(search(rows, engine=engine), sizes, strict=True):
        (only,) = engine(rows[permutation[:size]], np.arange(size), [size])
        assert (found.distances == only.distances).all()


def test_rows_in_parts_and_on_disk_are_the_same_rows(tmp_path):
    rows = near_duplicates()
    rows.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", dtype=rows.dtype, mode="r", shape=rows.shape)
    order, sizes = seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS)
    for stored in (StoredRows(mapped), StoredRows([mapped[:100], mapped[100:101], mapped[101:]])):
        options = SearchOptions(format=torch.bfloat16, resident=False)
        found, _ = exact_neighbors(Question(stored, order, sizes, 2), options)
        for a, b in zip(search(rows, k=2), found, strict=True):
            assert_same(a, b)


finite = st.floats(-1e6, 1e6, width=32)
shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)


@engines
@examples(60)
@given(arrays(np.float32, shapes, elements=finite), st.integers(1, 3))
def test_any_finite_rows_equal_the_reference(engine: Engine, rows: Array, k: int):
    for found in search(rows, engine=engine, k=k):
        assert_equals_reference(found, rows, k, None)


@examples(60)
@given(
    st.integers(0, 2**32),
    st.integers(1, 200),
    st.sampled_from([1, 2, 3, 17]),
    st.integers(1, 70),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.integers(1, 5),
    st.sampled_from([0.0, 100.0, 1e4]),
)
def test_shapes_types_ties_duplicates_and_documents(
    seed: int, n: int, d: int, k: int, dtype: type, documents: int, offset: float
):
    """Few different values, so that ties and duplicates are everywhere; k beyond n; documents of many rows."""
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, 4, (n, d)) + offset).astype(dtype)
    codes = rng.integers(0, documents, n) if documents > 1 else None
    for found in search(rows, engine=bfloat16, k=k, codes=codes):
        assert_equals_reference(found, rows, k, codes)
