"""`nearest_neighbors` and `energies`, the functions of arrays: the order of the input, types, groups, refusals."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
import torch

import workers.energy.library
import workers.neighbors.library
from service.errors import InvalidInput, NonFiniteData
from service.theory.energy import energy, energy_mchn
from tests.neighbors.datasets import massive_dimension
from workers.energy import energies
from workers.neighbors import nearest_neighbors
from workers.neighbors.reference import nearest_reference

ROWS = np.random.default_rng(0).normal(size=(60, 8))


@pytest.mark.parametrize(
    "module", [workers.neighbors.library, workers.energy.library], ids=lambda module: module.__name__
)
def test_the_examples_of_the_docstrings_run(module: Any):
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


@pytest.mark.parametrize("make", [massive_dimension, lambda: ROWS[::-1], lambda: ROWS.astype(">f4")])
def test_neighbours_are_the_references_in_the_order_of_the_rows(make: Any):
    rows = make()
    distances, indices = nearest_neighbors(rows, k=3)
    expected, ids = nearest_reference(np.asarray(rows, dtype=rows.dtype.newbyteorder("=")), 3)
    assert (distances.dtype, indices.dtype, distances.shape) == (np.float64, np.int64, (len(rows), 3))
    np.testing.assert_allclose(distances, expected, rtol=1e-12)
    assert ((indices == ids) | np.isclose(distances, expected, rtol=1e-12)).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_tensor_gives_what_its_numbers_give(dtype: torch.dtype):
    given = torch.from_numpy(ROWS).to(dtype).requires_grad_()
    numbers = given.detach().double().numpy()
    for found, expected in zip(nearest_neighbors(given), nearest_neighbors(numbers), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_groups_are_not_compared_and_what_has_no_neighbour_says_so():
    distances, indices = nearest_neighbors([[0], [1], [5]], groups=["a", "a", "b"])
    assert (distances[:, 0].tolist(), indices[:, 0].tolist()) == ([5, 4, 4], [2, 2, 1])
    distances, indices = nearest_neighbors([[0.0], [1.0]], k=2)
    assert (distances[:, 1].tolist(), indices[:, 1].tolist()) == ([np.inf, np.inf], [-1, -1])


def test_queries_are_searched_among_all_rows():
    distances, indices = nearest_neighbors(ROWS, queries=ROWS[40:])
    assert (distances == 0).all()
    assert indices[:, 0].tolist() == list(range(40, 60))


def test_energies_are_the_definitions_in_the_order_of_the_points():
    found = energies(ROWS[:7], ROWS[7:], beta=0.5)
    np.testing.assert_allclose(found.energy, energy(ROWS[7:], ROWS[:7], 0.5), rtol=1e-12)
    np.testing.assert_allclose(found.energy_mchn, energy_mchn(ROWS[7:], ROWS[:7], 0.5), rtol=1e-12)
    np.testing.assert_allclose(found.g, nearest_neighbors(ROWS[7:], queries=ROWS[:7])[0][:, 0] ** 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (ROWS, {"k": 0}, InvalidInput, "k must be from 1 to 64"),
        (ROWS[0], {}, InvalidInput, "two dimensions"),
        (ROWS[:, :0], {}, InvalidInput, "the rows of x are empty"),
        (ROWS, {"queries": ROWS[:, :3]}, InvalidInput, "queries have 3 dimensions, x 8"),
        (ROWS, {"groups": [1, 2]}, InvalidInput, "one label for each of the 60 rows"),
        (ROWS, {"groups": range(60), "queries": ROWS}, InvalidInput, "leave them out"),
        (ROWS, {"device": "tpu"}, InvalidInput, "auto, cpu or cuda:N"),
        (np.where(ROWS > 2, np.nan, ROWS), {}, NonFiniteData, "row"),
    ],
)
def test_what_is_not_rows_of_numbers_is_refused(given: Any, options: dict[str, Any], error: type, message: str):
    with pytest.raises(error, match=message):
        nearest_neighbors(given, **options)
