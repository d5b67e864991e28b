"""Distributions, fractions and the null model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.neighbors.null_model import gaussian_null, principal_deviations
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.statistics import nearest_statistics
from workers.neighbors.stored import StoredRows


def test_zeros_are_data_and_counted_and_left_out_of_distinct():
    found = nearest_statistics(np.asarray([0.0, 0.0, 2.0, 4.0, np.inf]), (0.5,))
    assert found.duplicates == 2
    assert found.alone == 1
    assert found.all is not None
    assert found.distinct is not None
    assert (found.all.mean, found.all.median, found.all.quantiles) == (1.5, 1.0, {"0.5": 1.0})
    assert (found.distinct.mean, found.distinct.min) == (3.0, 2.0)


def test_no_neighbor_at_all_gives_no_numbers():
    found = nearest_statistics(np.asarray([np.inf]), (0.5,))
    assert found.all is None
    assert found.distinct is None


def test_quantiles_are_numpys():
    values = np.random.default_rng(0).random(101)
    found = nearest_statistics(values, (0.01, 0.37, 0.99)).all
    assert found is not None
    assert list(found.quantiles.values()) == pytest.approx(np.quantile(values, [0.01, 0.37, 0.99]))


def test_a_fraction_is_rounded_to_rows_and_prefixes_are_nested():
    assert prefix_sizes(10, (0.25, 0.75, 1.0)) == [2, 8, 10]
    assert sorted(seeded_permutation(100, 7).tolist()) == list(range(100))
    assert (seeded_permutation(100, 7) == seeded_permutation(100, 7)).all()
    assert (seeded_permutation(100, 7) != seeded_permutation(100, 8)).any()


@given(st.integers(1, 10**9))
def test_the_whole_is_the_whole(n: int):
    assert prefix_sizes(n, (1.0,)) == [n]


def test_the_isotropic_null_is_the_known_one():
    """Nearest neighbour among 3,000 Gaussian draws in 1,024 dimensions: 42.182 by the non-central chi-square."""
    null = gaussian_null(np.ones(1024), [3000], queries=1000, seed=0)
    assert null.distances[0].mean() == pytest.approx(42.182, abs=0.1)


def test_the_null_of_a_falling_spectrum_is_the_known_one():
    """λ_i = 1/i, i ≤ 1024, N = 3,000: 2.9647."""
    null = gaussian_null(1 / np.sqrt(np.arange(1, 1025)), [3000], queries=1000, seed=0)
    assert null.distances[0].mean() == pytest.approx(2.9647, abs=0.04)


def test_the_null_of_gaussian_data_is_the_data():
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((2000, 40)) @ rng.standard_normal((40, 40))
    null = gaussian_null(principal_deviations(StoredRows(rows), rows.mean(axis=0)), [2000], queries=2000, seed=0)
    from tests.neighbors.test_exact import search

    observed = search(rows)[-1].distances.mean()
    assert null.distances[0].mean() == pytest.approx(observed, rel=0.02)


def test_a_rank_deficient_covariance_keeps_its_rank():
    rng = np.random.default_rng(4)
    wide = rng.standard_normal((50, 200))
    assert len(principal_deviations(StoredRows(wide), wide.mean(axis=0))) == 49
    flat = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 20))
    assert len(principal_deviations(StoredRows(flat), flat.mean(axis=0))) == 5


def test_the_deviations_of_few_rows_are_those_of_the_covariance():
    rows = np.random.default_rng(5).standard_normal((30, 40))
    expected = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1][:29]
    assert principal_deviations(StoredRows(rows), rows.mean(axis=0)) == pytest.approx(np.sqrt(expected))


def test_equal_rows_have_no_null():
    null = gaussian_null(principal_deviations(StoredRows(np.ones((5, 3))), np.ones(3)), [2, 5], queries=10, seed=0)
    assert null.rank == 0
    assert [len(part) for part in null.distances] == [0, 0]


def test_sizes_of_the_null_are_prefixes_of_one_stream():
    deviations = np.ones(8)
    together = gaussian_null(deviations, [100, 9000, 20000], queries=50, seed=1).distances
    alone = [gaussian_null(deviations, [size], queries=50, seed=1).distances[0] for size in (100, 9000, 20000)]
    for a, b in zip(together, alone, strict=True):
        assert a == pytest.approx(b, rel=1e-9)
