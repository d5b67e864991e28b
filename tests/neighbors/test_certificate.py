"""The rounding bounds of float32 and float64 filters hold for every pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from service.errors import NonFiniteData
from tests.neighbors.datasets import HARD
from workers.neighbors.certificate import float32_bound, float64_bound
from workers.neighbors.faiss_index import build_flat, make_index, search_index
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_the_float32_bound_holds_for_every_pair(make: Callable[[], Array]):
    rows = make()[:300]
    index = build_flat(StoredRows(rows))
    filtered_sq, found = search_index(make_index("faiss-flat", index.rows), index.rows, len(rows))
    exact = rows.astype(np.longdouble)
    true = np.sqrt(((exact[:, None] - exact[found]) ** 2).sum(axis=2)) * index.scale
    norms_sum = index.norms[:, None] + index.norms[found]
    bound = float32_bound(rows.shape[1])
    assert (bound.lower(filtered_sq, norms_sum) <= true).all()


def test_the_float64_bound_is_sharper():
    squared, norms = np.asarray([1.0]), np.asarray([2.0])
    gaps = [1.0 - bound(64).lower(squared, norms)[0] for bound in (float32_bound, float64_bound)]
    assert 0 < gaps[1] < 1e-8 * gaps[0]


def test_norms_beyond_a_double_are_refused_by_their_row():
    with pytest.raises(NonFiniteData, match=r"^row 1 is 2.83e\+305 from the centre of the rows"):
        build_flat(StoredRows(np.full((3, 2), 1e305) * [[1], [-1], [1]]))
