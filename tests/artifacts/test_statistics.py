from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.artifacts.statistics import RunningStatistics
from service.errors import NonFiniteData
from tests.examples import examples

Array = np.ndarray


def normal(offset: float = 0.0, n: int = 10_000, d: int = 16) -> Array:
    return np.random.default_rng(0).normal(size=(n, d)) + offset


def massive() -> Array:
    rows = normal()
    rows[:, 3] = rows[:, 3] * 0.01 + 3000
    rows[:, 7] *= 400
    return rows


DATA = {
    "normal": normal(),
    "offset": normal(1e6),
    "massive": massive(),
    "half precision": normal().astype(np.float16),
    "single precision": normal(100).astype(np.float32),
    "constant": np.full((500, 3), 1.25),
    "one row": normal(n=1),
    "one dimension": normal(d=1),
}
every = pytest.mark.parametrize("rows", list(DATA.values()), ids=list(DATA))


def measured(rows: Array, cuts: list[int] | None = None) -> RunningStatistics:
    running = RunningStatistics(rows.shape[1])
    for part in np.split(rows, sorted(cuts or [])):
        running.add(part)
    return running


@every
def test_moments_are_those_of_numpy(rows: Array):
    running, exact = measured(rows), rows.astype(np.longdouble)
    assert running.n == len(rows)
    np.testing.assert_allclose(running.mean, exact.mean(axis=0).astype(float), rtol=1e-13, atol=1e-15)
    variance = ((exact - exact.mean(axis=0)) ** 2).mean(axis=0).astype(float)
    np.testing.assert_allclose(running.sum_sq_about_mean / running.n, variance, rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(running.sum_sq, (exact**2).sum(axis=0).astype(float), rtol=1e-12)


@every
def test_norms_are_those_of_numpy(rows: Array):
    found, norms = measured(rows).summary(), np.linalg.norm(rows.astype(float), axis=1)
    np.testing.assert_allclose(
        [found.norm_mean, found.norm_min, found.norm_max], [norms.mean(), norms.min(), norms.max()], rtol=1e-12
    )
    assert found.zero_rows == 0


@every
def test_shares_are_those_of_the_five_largest_dimensions(rows: Array):
    found, wide = measured(rows).summary(), rows.astype(float)
    power, variance = (wide**2).mean(axis=0), wide.var(axis=0)
    assert found.top5_share == pytest.approx(np.sort(power)[-5:].sum() / power.sum(), rel=1e-9)
    spread = np.sort(variance)[-5:].sum() / variance.sum() if variance.sum() > 0 else 0.0
    assert found.top5_variance_share == pytest.approx(spread, rel=1e-9)
    assert sorted(power[found.top5_dimensions]) == sorted(np.sort(power)[-5:])
    assert len(found.top5_dimensions) == min(5, rows.shape[1])


def test_massive_dimensions_are_named_largest_first():
    found = measured(massive()).summary()
    assert found.top5_dimensions[:2] == [3, 7]
    assert found.top5_share > 0.999


@examples(30)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=20), name=st.sampled_from(list(DATA)))
def test_how_rows_are_split_matters_up_to_rounding_only(cuts: list[int], name: str):
    rows = DATA[name]
    split, whole = measured(rows, cuts), measured(rows)
    assert (split.n, split.zero_rows, split.norm_max) == (whole.n, whole.zero_rows, whole.norm_max)
    assert split.norm_sum == pytest.approx(whole.norm_sum, rel=1e-12)
    np.testing.assert_allclose(split.mean, whole.mean, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(split.sum_sq_about_mean, whole.sum_sq_about_mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(split.sum_sq, whole.sum_sq, rtol=1e-12)


def test_zero_rows_are_counted():
    rows = normal(n=100)
    rows[[0, 50, 99]] = 0
    found = measured(rows, [10, 60]).summary()
    assert (found.zero_rows, found.norm_min) == (3, 0)
    nothing = measured(np.zeros((3, 8))).summary()
    assert (nothing.zero_rows, nothing.top5_share, nothing.top5_variance_share) == (3, 0, 0)


@pytest.mark.parametrize("row", [0, 1, 4095, 4096, 4097, 9_998, 9_999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("cuts", [[], [4096], [1, 5000]])
def test_the_first_row_that_is_not_finite_is_named(row: int, value: float, cuts: list[int]):
    rows = normal(n=10_000, d=3)
    rows[row, row % 3] = value
    rows[row:, 2] = np.nan
    with pytest.raises(NonFiniteData, match=rf"row {row} is not finite"):
        measured(rows, cuts)


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-170, 1e-163, 1e-162, 1e160, 1e300])
def test_squares_that_leave_a_double_change_no_statistic(scale: float):
    """The power of two by which the rows are scaled changes no digit."""
    power = 2.0 ** round(np.log2(scale))
    rows = np.round(massive()[:200] * 8) + np.eye(200, 16)
    found, plain = measured(rows * power, [70]).summary(), measured(rows, [70]).summary()
    unscaled = {"top5_share", "top5_variance_share", "top5_dimensions", "zero_rows"}
    assert found.model_dump(include=unscaled) == plain.model_dump(include=unscaled)
    for name in ("norm_mean", "norm_min", "norm_max"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name) * power, rel=1e-12, abs=5e-324)
    assert (measured(rows * power, [70]).variance is None) == (not 1e-150 < power < 1e150)


def test_rows_of_very_different_size_in_either_order():
    small, large = normal(n=50) * 1e-200, normal(n=50) * 1e140
    for rows in (np.concatenate([small, large]), np.concatenate([large, small])):
        found = measured(rows, [50]).summary()
        assert found.zero_rows == 0
        assert found.norm_min == pytest.approx(np.linalg.norm(small * 1e200, axis=1).min() * 1e-200, rel=1e-12)
        assert found.norm_max == pytest.approx(np.linalg.norm(large, axis=1).max(), rel=1e-12)
        assert found.top5_share == pytest.approx(measured(large).summary().top5_share, rel=1e-12)


def test_a_norm_that_overflows_is_refused_by_its_row():
    rows = np.full((9, 2), 1e307)
    rows[6] = 1.5e308
    with pytest.raises(NonFiniteData, match="the norm of row 6 overflows a double"):
        measured(rows, [5])
