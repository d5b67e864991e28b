"""What is computed for a set without one document is what the set without that document gives from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.statistics.sets import distances_of, in_documents, lists_of, nearest_of, normal
from workers.statistics.dimension_lists import DimensionLists
from workers.statistics.estimate import ALL_EQUAL, NO_NEIGHBORS, Estimate, jackknife_error
from workers.statistics.gride import gride
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.mean_and_median import mean_replicates, median_difference, paired_difference, quantile_estimate
from workers.statistics.mle import maximum_likelihood
from workers.statistics.two_nn import two_nn

Array = np.ndarray
both = pytest.mark.parametrize("exclude", [False, True], ids=["all neighbours", "other documents only"])


def without_each(rows: Array, codes: Array, value: Callable[[Array, Array], float]) -> Array:
    """(U,) the value of the rows outside each document, from the beginning."""
    return np.array([value(rows[codes != u], codes[codes != u]) for u in range(codes.max() + 1)])


@both
@pytest.mark.parametrize("seed", [0, 1])
def test_the_mean(seed: int, exclude: bool):
    rows, codes = in_documents(seed)
    nearest, documents = nearest_of(rows, codes, exclude=exclude)
    found = mean_replicates(nearest.first, nearest, nearest.second, documents)
    expected = without_each(rows, codes, lambda x, u: float(nearest_of(x, u, exclude=exclude)[0].first.mean()))
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)
    assert found.estimate().standard_error == pytest.approx(jackknife_error(expected), rel=1e-9)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_below_a_quantile(p: float):
    rows, codes = in_documents(2)
    nearest, documents = nearest_of(rows, codes)
    bound = float(np.quantile(nearest.first, p))
    first, second = (nearest.first <= bound).astype(float), (nearest.second <= bound).astype(float)
    found = mean_replicates(first, nearest, second, documents)
    expected = without_each(rows, codes, lambda x, u: float((nearest_of(x, u)[0].first <= bound).mean()))
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)
    low, high = quantile_estimate(nearest, documents, p).interval or (np.nan, np.nan)
    assert low <= bound <= high
    assert {low, high} <= set(nearest.first)


def test_rows_that_lose_their_last_neighbour_are_left_out():
    """Of three documents one is alone with another: neighbours of the same document are excluded."""
    rows, codes = normal(3, 60, 4), np.repeat([0, 1, 1], 20)
    codes[:2] = 2
    nearest, documents = nearest_of(rows, codes, exclude=True)
    found = mean_replicates(nearest.first, nearest, nearest.second, documents)
    expected = without_each(rows, codes, lambda x, u: float(nearest_of(x, u, exclude=True)[0].first.mean()))
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)
    only = codes < 2
    alone, others = nearest_of(rows[only], codes[only], exclude=True)
    assert np.isnan(mean_replicates(alone.first, alone, alone.second, others).values).all()


def test_the_difference_of_nested_sets():
    rows, codes = in_documents(4)
    part = np.sort(np.random.default_rng(0).permutation(300)[:100])
    whole, documents = nearest_of(rows, codes)
    smaller, of_part = nearest_of(rows[part], codes[part])
    labels = np.append(np.unique(codes[part]), -1)  # the codes of the whole in place of those of the part
    smaller = NearestOfTwoDocuments(smaller.first, labels[smaller.document], smaller.second)
    found = paired_difference(smaller, part, whole, np.arange(300), documents)
    inside = np.isin(np.arange(300), part)

    def difference(u: int) -> float:
        values = [nearest_of(rows[kept & (codes != u)])[0].first.mean() for kept in (inside, np.full(300, True))]
        return float(values[0] - values[1])

    assert of_part.count < documents.count
    expected = np.array([difference(u) for u in range(documents.count)])
    assert found.value == pytest.approx(smaller.first.mean() - whole.first.mean(), rel=1e-12)
    assert found.standard_error == pytest.approx(jackknife_error(expected), rel=1e-9)


def dimensions(estimate: Callable[[DimensionLists], Estimate], exclude: bool) -> tuple[Estimate, Array]:
    """An estimate, and the same without each document from the beginning."""
    rows, codes = in_documents(5, n=200)
    codes = np.where(codes > 20, codes % 20, codes)
    codes = np.unique(codes, return_inverse=True)[1]

    def value(x: Array, u: Array) -> float:
        found = estimate(DimensionLists.of(lists_of(x, u, exclude=exclude))).value
        assert found is not None
        return found

    found = estimate(DimensionLists.of(lists_of(rows, codes, 199, exclude=exclude)))
    return found, without_each(rows, codes, value)


@both
def test_two_nn(exclude: bool):
    found, expected = dimensions(lambda lists: two_nn(lists).estimate, exclude)
    assert found.standard_error == pytest.approx(jackknife_error(expected), rel=1e-10)


@both
@pytest.mark.parametrize("k", [2, 10, 20])
def test_maximum_likelihood(k: int, exclude: bool):
    found, expected = dimensions(lambda lists: maximum_likelihood(lists, k).estimate, exclude)
    assert found.standard_error == pytest.approx(jackknife_error(expected), rel=1e-10)


@both
@pytest.mark.parametrize(("k", "tolerance"), [(1, 1e-9), (2, 0.02), (8, 0.02), (16, 0.02)])
def test_gride_up_to_its_newton_step(k: int, tolerance: float, exclude: bool):
    """Exact at k = 1; elsewhere the step is off by the square of a replicate's change, 2 % of the error at most."""
    found, expected = dimensions(lambda lists: gride(lists, k).estimate, exclude)
    assert found.standard_error == pytest.approx(jackknife_error(expected), rel=tolerance)


def test_duplicates_are_left_out_as_rows_and_as_neighbours():
    rows, codes = in_documents(6)
    copied = np.concatenate([rows, rows[:40]])
    labels = np.concatenate([codes, codes[::-1][:40]])
    lists, fewer = DimensionLists.of(lists_of(copied, labels, 200)), DimensionLists.of(lists_of(rows[40:], codes[40:]))
    assert (lists.duplicates, len(lists)) == (80, 260)
    for found, expected in (
        (two_nn(lists).estimate, two_nn(fewer).estimate),
        (maximum_likelihood(lists, 10).estimate, maximum_likelihood(fewer, 10).estimate),
        (gride(lists, 4).estimate, gride(fewer, 4).estimate),
    ):
        assert found.value == pytest.approx(expected.value, rel=1e-12)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-10)


@both
def test_the_difference_of_shares_at_the_median_of_nested_sets(exclude: bool):
    rows, codes = in_documents(4)
    half = np.arange(150)
    whole, documents = nearest_of(rows, codes, exclude=exclude)
    part, _ = nearest_of(rows[half], codes[half], exclude=exclude)
    part = replace(part, document=documents.codes[:150][nearest_position(rows[half], codes[half], exclude=exclude)])
    found = median_difference(part, half, whole, np.arange(300), documents)
    pooled = float(np.median(np.concatenate([part.first, whole.first])))
    assert found.pooled == pooled
    assert found.value == pytest.approx(np.median(part.first) - np.median(whole.first))

    def shares(kept: Array) -> float:
        first, every = half[kept[half]], np.flatnonzero(kept)
        a, b = (nearest_of(rows[at], codes[at], exclude=exclude)[0].first for at in (first, every))
        return float((a <= pooled).mean() - (b <= pooled).mean())

    expected = np.array([shares(codes != u) for u in range(codes.max() + 1)])
    assert found.shares.value == pytest.approx(shares(np.ones(300, dtype=bool)))
    assert found.shares.standard_error == pytest.approx(jackknife_error(expected), rel=1e-9)
    low, high = found.shares.interval or (np.nan, np.nan)
    assert found.shares.value is not None
    assert found.value is not None
    assert -1 <= low < found.shares.value < min(0, high)  # half of the rows lie farther apart
    assert found.value > 0


def nearest_position(rows: Array, codes: Array, *, exclude: bool) -> Array:
    return distances_of(rows, codes, exclude=exclude).argmin(axis=1)


def test_medians_of_equal_distances_differ_by_nothing_known():
    rows, codes = np.eye(40), np.arange(40)
    nearest, documents = nearest_of(rows, codes)
    found = median_difference(nearest, np.arange(40), nearest, np.arange(40), documents)
    assert (found.value, found.shares.value, found.shares.reason) == (0, 0, ALL_EQUAL)
    none = replace(nearest, first=np.full(40, np.inf))
    assert median_difference(none, np.arange(40), nearest, np.arange(40), documents).shares.reason == NO_NEIGHBORS
