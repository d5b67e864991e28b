"""Scale-free units and transformed rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from service.artifacts.statistics import RunningStatistics
from service.errors import InvalidInput
from tests.statistics.sets import normal
from workers.statistics.centring import blocks_of
from workers.statistics.estimate import NO_NEIGHBORS
from workers.statistics.scale import EQUAL_ROWS, ZERO_ROWS, scale
from workers.statistics.transforms import transform

SHAPES = pytest.mark.parametrize("shape", [(300, 8), (20, 60), (40, 40)], ids=["tall", "wide", "square"])


@SHAPES
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_sizes_are_those_of_the_covariance(shape: tuple[int, int], dtype: type):
    rows = (normal(0, *shape) * np.arange(1, shape[1] + 1) + 3).astype(dtype)
    exact = rows.astype(np.float64)
    covariance = np.cov(exact.T, bias=True)
    found = scale(blocks_of(rows), 2.0)
    norms = np.linalg.norm(exact, axis=1)
    assert found.total_variance == pytest.approx(np.trace(covariance), rel=1e-12)
    assert found.participation_ratio == pytest.approx(np.trace(covariance) ** 2 / (covariance**2).sum(), rel=1e-11)
    assert found.mean_norm == pytest.approx(norms.mean(), rel=1e-12)
    assert found.nn_over_sqrt_2_total_variance == pytest.approx(2 / np.sqrt(2 * np.trace(covariance)), rel=1e-12)
    assert found.nn_over_mean_norm == pytest.approx(2 / norms.mean(), rel=1e-12)
    assert found.nn_over_sqrt_n == pytest.approx(2 / np.sqrt(shape[1]))
    assert found.reason is None


def test_the_share_of_five_coordinates_is_that_of_the_activation_set():
    rows = normal(1, 200, 30) * np.r_[np.ones(25), 3, 4, 5, 6, 7]
    running = RunningStatistics(30)
    running.add(rows)
    assert scale(blocks_of(rows), 1.0).top5_share == pytest.approx(running.summary().top5_share, rel=1e-12)


@SHAPES
def test_blocks_do_not_matter_and_a_far_mean_costs_no_digits(shape: tuple[int, int]):
    rows = normal(2, *shape)
    expected = scale(blocks_of(rows), 1.0)
    found = scale(lambda: (rows[start : start + 7] + 1e6 for start in range(0, len(rows), 7)), 1.0)
    assert found.total_variance == pytest.approx(expected.total_variance, rel=1e-8)
    assert found.participation_ratio == pytest.approx(expected.participation_ratio, rel=1e-8)


@pytest.mark.parametrize("unit", [2.0**-600, 2.0**505])
def test_rows_whose_squares_leave_a_double_have_ratios(unit: float):
    rows = normal(3, 50, 6)
    found, expected = scale(blocks_of(rows * unit), unit), scale(blocks_of(rows), 1.0)
    assert found.participation_ratio == pytest.approx(expected.participation_ratio, rel=1e-10)
    assert found.nn_over_sqrt_2_total_variance == pytest.approx(expected.nn_over_sqrt_2_total_variance, rel=1e-10)
    assert found.mean_norm == pytest.approx(expected.mean_norm * unit, rel=1e-10)


def test_a_small_variance_beside_a_large_constant():
    rows = np.concatenate([normal(3, 50, 6) * 1e-95, np.ones((50, 1))], axis=1)
    expected = scale(blocks_of(normal(3, 50, 6)), 1.0)
    assert scale(blocks_of(rows), 1.0).participation_ratio == pytest.approx(expected.participation_ratio, rel=1e-10)


def test_a_unit_of_zero_gives_no_ratio():
    equal = scale(blocks_of(np.full((50, 7), 0.1)), 0.0)
    assert (equal.total_variance, equal.participation_ratio, equal.nn_over_sqrt_2_total_variance) == (0, None, None)
    assert (equal.nn_over_mean_norm, equal.reason) == (0, EQUAL_ROWS)
    zero = scale(blocks_of(np.zeros((5, 7))), None)
    assert (zero.top5_share, zero.nn_over_mean_norm, zero.nn_over_sqrt_n) == (None, None, None)
    assert zero.reason == f"{EQUAL_ROWS}; {ZERO_ROWS}; {NO_NEIGHBORS}"


def test_unit_norms_and_rows_of_zeros():
    rows = np.concatenate([normal(0, 10, 4), np.zeros((1, 4))])
    found = transform(rows, "unit_norm")
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1.0] * 10 + [0], rtol=1e-14)
    np.testing.assert_allclose(found[:10] * np.linalg.norm(rows[:10], axis=1, keepdims=True), rows[:10], rtol=1e-14)


def test_standardised_coordinates_have_unit_variance_and_constant_ones_are_zero():
    rows = normal(0, 300, 5) * [1, 10, 100, 0, 1e-3] + [0.0, 1, 2, 0.1, 4]
    found = transform(rows, "standardize")
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 1, 0, 1], rtol=1e-12)
    assert (found[:, 3] == 0).all()


@pytest.mark.parametrize("unit", [1.0, 1e-170, 1e170])
def test_whitened_rows_have_the_identity_as_covariance(unit: float):
    rows = normal(0, 300, 6) @ normal(1, 6, 6) + 5
    found = transform(rows * unit, "whiten")
    np.testing.assert_allclose(found.T @ found / 300, np.eye(6), atol=1e-10)


def test_directions_without_variance_are_dropped():
    flat = normal(0, 300, 3) @ normal(1, 3, 9)
    assert transform(flat, "whiten").shape == (300, 3)
    assert transform(np.full((50, 7), 0.1), "whiten").shape == (50, 0)


def test_fewer_rows_than_dimensions_are_equally_far_apart_when_whitened():
    found = transform(normal(0, 20, 50), "whiten")
    assert found.shape == (20, 19)
    np.testing.assert_allclose(pdist(found), np.sqrt(40), rtol=1e-10)


def test_the_coordinates_of_largest_variance_are_removed():
    rows = normal(0, 200, 5) * [1, 30, 2, 20, 3] + [1000, 0, 0, 0, 0]
    assert (transform(rows, "without_top:2") == rows[:, [0, 2, 4]]).all()
    assert (transform(rows, "without_top:4") == rows[:, [0]]).all()


@pytest.mark.parametrize("kind", ["none", "unit_norm", "standardize", "whiten", "without_top:1"])
def test_the_dtype_is_float32_unless_the_rows_are_float64(kind: str):
    for given, expected in ((np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)):
        rows = normal(0, 30, 4).astype(given)
        found = transform(rows, kind)
        assert found.dtype == expected
        assert kind != "none" or (found == rows).all()


@pytest.mark.parametrize("kind", ["", "whitening", "without_top", "without_top:", "without_top:-1", "without_top:2 "])
def test_an_unknown_transform_is_refused(kind: str):
    with pytest.raises(InvalidInput, match="transform must be one of none, unit_norm"):
        transform(normal(0, 5, 4), kind)


@pytest.mark.parametrize("kind", ["without_top:0", "without_top:4", "without_top:999"])
def test_at_least_one_coordinate_stays(kind: str):
    with pytest.raises(InvalidInput, match="without_top must be from 1 to 3"):
        transform(normal(0, 5, 4), kind)
