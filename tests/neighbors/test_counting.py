"""Counts within radii equal those of a brute force in float64, for closed balls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from service.errors import InvalidInput
from tests.neighbors.datasets import HARD, gaussian
from tests.neighbors.engines import count_measured
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray


def admissible_distances(rows: Array, codes: Array | None = None) -> Array:
    """(n, n) float64 distances, inf for a row itself and for rows of its code."""
    exact = rows.astype(np.float64)
    gaps = np.stack([np.sqrt(((exact - row) ** 2).sum(axis=1)) for row in exact])
    same = np.eye(len(rows), dtype=bool) if codes is None else codes[:, None] == codes
    return np.where(same, np.inf, gaps)


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("tile", [64, 2048])
@pytest.mark.parametrize("coded", [False, True])
def test_counts_equal_the_brute_force(make: Callable[[], Array], tile: int, coded: bool):
    """Radii from none to all, unsorted and repeated; between distances, where the last digit does not matter."""
    rows = make()[:300]
    codes = np.arange(len(rows)) // 7 if coded else None
    gaps = admissible_distances(rows, codes)
    finite = gaps[np.isfinite(gaps)]
    quantiles = np.quantile(finite, [0.5, 0.001, 0.01, 0.9, 1.0, 0.5]) if len(finite) else np.ones(6)
    radii = [*(quantiles * (1 + 1e-9)), 0.0]
    order = np.random.default_rng(0).permutation(len(rows))
    found = count_within(Question(StoredRows(rows), order, [len(rows)], codes=codes), radii, SearchOptions(tile=tile))
    assert (found == np.stack([(gaps[order] <= radius).sum(axis=1) for radius in radii], axis=1)).all()


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize("coded", [False, True])
def test_counts_where_few_pairs_lie_within_the_largest_radius(make: Callable[[], Array], coded: bool):
    """Tiles of 64 whose pairs are filtered and rescored one by one, on the diagonal and off it."""
    rows = make()[:300]
    codes = np.arange(len(rows)) // 7 if coded else None
    gaps = admissible_distances(rows, codes)
    finite = np.sort(gaps[np.isfinite(gaps)])
    radius = float(finite[len(finite) // 200] * (1 + 1e-9)) if len(finite) else 1.0
    order = np.random.default_rng(0).permutation(len(rows))
    question = Question(StoredRows(rows), order, [len(rows)], codes=codes)
    found = count_within(question, [radius / 2, radius], SearchOptions(tile=64))
    assert (found == np.stack([(gaps[order] <= r).sum(axis=1) for r in (radius / 2, radius)], axis=1)).all()


@pytest.mark.parametrize("k", [1, 5])
def test_a_ball_as_large_as_the_kth_distance_holds_k_rows(k: int):
    """Closed: the row at the distance itself counts, to the last bit."""
    rows = gaussian()
    question = Question.of_all_rows(StoredRows(rows), k)
    (found,), _ = exact_neighbors(question)
    kth = found.distances[:, -1]
    assert (np.diagonal(count_within(question, kth)) == k).all()
    assert (np.diagonal(count_within(question, np.nextafter(kth, 0))) == k - 1).all()
    assert count_within(question, [float(kth[3])])[3, 0] == k


@pytest.mark.parametrize("form", [torch.bfloat16, torch.float32])
def test_only_pairs_with_a_radius_between_their_bounds_are_measured(form: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    """Of all pairs within the largest radius, few are that near to one of the two."""
    rows = np.random.default_rng(0).standard_normal((1500, 4)).astype(np.float32)
    question = Question.of_all_rows(StoredRows(rows))
    measured, radii = count_measured(monkeypatch), [0.2, 0.5]
    counts = count_within(question, radii, SearchOptions(format=form, tile=512))
    distances = admissible_distances(rows)
    assert (counts == np.stack([(distances <= radius).sum(axis=1) for radius in radii], axis=1)).all()
    assert counts[:, 1].sum() > 1000
    assert sum(measured) < counts[:, 1].sum() / 2 / 4  # each pair once


def test_counts_do_not_move_with_the_rows():
    rows = np.round(gaussian()[:200].astype(np.float64) * 2**20) / 2**20
    counts = [count_within(Question.of_all_rows(StoredRows(rows + shift)), [20.0, 22.5]) for shift in (0.0, 4096.0)]
    assert (counts[0] == counts[1]).all()


def test_no_rows_have_no_counts():
    assert count_within(Question(StoredRows(gaussian()), np.arange(0), [0]), [1.0, 2.0]).shape == (0, 2)


@pytest.mark.parametrize("radius", [-1.0, np.nan, np.inf])
def test_a_radius_that_is_none_is_refused(radius: float):
    with pytest.raises(InvalidInput) as caught:
        count_within(Question.of_all_rows(StoredRows(gaussian()[:10])), [1.0, radius])
    assert caught.value.field == "radii"


def test_a_huge_radius_holds_admissible_pairs_only():
    """Scaled, it would be the infinity that stands for pairs that do not count."""
    rows = 1e-10 * gaussian()[:40].astype(np.float64)
    documents = np.arange(40) // 20
    assert (count_within(Question.of_all_rows(StoredRows(rows)), [1e300]) == 39).all()
    assert (count_within(Question.of_all_rows(StoredRows(rows), codes=documents), [1e300]) == 20).all()
