"""Disjoint subsamples and the law that is fitted to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from tests.statistics.sets import in_documents, nearest_of, normal, uneven_codes
from workers.statistics.documents import Documents
from workers.statistics.estimate import NO_NEIGHBORS, jackknife_error
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.sample_size import (
    NO_FALL,
    TOO_FEW_POINTS,
    UNBOUNDED,
    Subsample,
    disjoint_subsamples,
    shrink_law,
)

Array = np.ndarray


def subsamples_of(rows: Array, codes: Array, seed: int = 0) -> list[Subsample]:
    documents = Documents.of(codes, len(rows))
    return [Subsample(*nearest_of(rows[at], documents.codes[at])) for at in disjoint_subsamples(documents, seed)]


def test_subsamples_are_disjoint_halves_of_whole_documents():
    codes = uneven_codes(2000, 400)
    found = disjoint_subsamples(Documents.of(codes, 2000), 1)
    together = np.concatenate(found)
    assert len(np.unique(together)) == len(together)
    of_documents = [set(codes[rows]) for rows in found]
    assert sum(len(each) for each in of_documents) == len(set().union(*of_documents))
    assert all(np.isin(codes[rows], codes[rows]).sum() == np.isin(codes, codes[rows]).sum() for rows in found)
    sizes = np.array([len(rows) for rows in found])
    largest_document = np.bincount(codes).max()
    assert (np.abs(sizes - 2000 / 2 ** np.arange(1, len(found) + 1)) <= largest_document).all()
    assert min(sizes) >= 30
    assert min(len(each) for each in of_documents) >= 10


def test_subsamples_depend_on_the_seed_alone():
    documents = Documents.of(uneven_codes(500, 200), 500)
    one, same, other = (disjoint_subsamples(documents, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize(("codes", "count"), [(np.arange(29), 0), (np.arange(120) % 10, 0), (np.arange(120), 2)])
def test_small_sets_have_few_subsamples(codes: Array, count: int):
    assert len(disjoint_subsamples(Documents.of(codes, len(codes)), 0)) == count


def test_one_huge_document_ends_the_subsamples():
    codes = np.concatenate([np.zeros(900, dtype=int), np.arange(1, 101)])
    for seed in range(5):
        found = disjoint_subsamples(Documents.of(codes, 1000), seed)
        assert all(len(np.unique(codes[rows])) >= 10 for rows in found)


@pytest.mark.parametrize("m", [2, 4])
def test_the_dimension_of_a_flat_torus_is_found(m: int):
    """Uniform on a torus, where no edge bends the law: E[NN] = Γ(1 + 1/m) (V_m n)^(−1/m)."""
    angles = 2 * np.pi * np.random.default_rng(m).random((3000, m))
    rows = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / (2 * np.pi)
    found = shrink_law(subsamples_of(rows, np.arange(3000) // 2), [6000, 10**6])
    assert found.dimension.value is not None
    low, high = found.dimension.interval or (np.nan, np.nan)
    assert low < m < high
    assert high - low < m
    near, far = found.extrapolated
    volume = {2: np.pi, 4: np.pi**2 / 2}[m]
    truth = {2: 0.886227, 4: 0.906403}[m] * (volume * 6000) ** (-1 / m)
    low, high = near.mean.interval or (np.nan, np.nan)
    assert low < truth < high
    assert (near.far, far.far) == (False, True)
    width, farther = (np.diff(np.log(each.mean.interval or (np.nan, np.nan))) for each in (near, far))
    assert farther > 1.5 * width


def test_the_fit_without_each_document_is_computed_anew():
    rows, codes = in_documents(7, n=400, documents=160)
    subsamples = subsamples_of(rows, codes)
    found = shrink_law(subsamples, [10**4])
    sizes, means = (np.array([getattr(point, name) for point in found.points]) for name in ("n", "mean"))
    weights = np.array([mean.value / mean.standard_error for mean in means])
    documents = Documents.of(codes, len(rows))

    def fit(n: Array, mean: Array) -> Array:
        slope, intercept = np.polyfit(np.log(n), np.log(mean), 1, w=weights)
        return np.array([slope, intercept + slope * np.log(10**4)])

    values, squares = np.array([mean.value for mean in means]), np.zeros(2)
    for j, at in enumerate(disjoint_subsamples(documents, 0)):
        replicates = []
        for u in np.unique(codes[at]):
            kept = at[codes[at] != u]
            n, mean = sizes.astype(float), values.copy()
            n[j], mean[j] = len(kept), nearest_of(rows[kept])[0].first.mean()
            replicates.append(fit(n, mean))
        squares += [jackknife_error(column) ** 2 for column in np.array(replicates).T]
    slope, log_mean = fit(sizes, values)
    error, mean_error = np.sqrt(squares)
    assert found.dimension.value == pytest.approx(-1 / slope, rel=1e-9)
    assert found.dimension.standard_error == pytest.approx(error / slope**2, rel=1e-8)
    t = stdtrit(sum(each.documents.count for each in subsamples) - len(subsamples), 0.975)
    (extrapolated,) = found.extrapolated
    assert extrapolated.mean.interval == pytest.approx(np.exp(log_mean + t * mean_error * np.array([-1, 1])), rel=1e-8)


def test_too_few_subsamples_give_points_and_no_law():
    found = shrink_law(subsamples_of(normal(0, 130, 3), np.arange(130)), [1000])
    assert len(found.points) == 2
    assert all(point.mean.standard_error for point in found.points)
    assert (found.dimension.value, found.dimension.reason) == (None, TOO_FEW_POINTS)
    assert found.extrapolated[0].mean == found.dimension
    assert shrink_law([], []).points == ()


def test_equal_rows_and_rows_without_neighbours_are_no_points_of_the_law():
    equal = Subsample(*nearest_of(np.zeros((40, 2)), np.arange(40)))
    alone = Subsample(NearestOfTwoDocuments(np.full(40, np.inf), np.full(40, -1), np.full(40, np.inf)), equal.documents)
    found = shrink_law([equal, equal, equal, alone], [])
    assert [point.n for point in found.points] == [40, 40, 40, 0]
    assert found.points[3].mean.reason == NO_NEIGHBORS
    assert found.dimension.reason == TOO_FEW_POINTS


def test_distances_that_do_not_fall_have_no_dimension():
    """The larger subsample is wider; or nearly as much wider as its distances would fall."""
    half, quarter, eighth = (normal(seed, n, 3) for seed, n in enumerate((400, 200, 100)))
    for width, reason in ((2.0, NO_FALL), (1.25, UNBOUNDED)):
        sets = (half * width**2, quarter * width, eighth)
        found = shrink_law([Subsample(*nearest_of(rows, np.arange(len(rows)))) for rows in sets], [1000])
        assert (found.dimension.interval, found.dimension.reason) == (None, reason)
        assert found.extrapolated[0].mean.value
