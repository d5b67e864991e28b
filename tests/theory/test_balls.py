from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.balls import (
    asymptotic_unit_radius,
    log_ball_integral,
    log_ball_integrals,
    log_ball_volume,
    log_sphere_area,
    radius_of_integral,
    unit_volume_radius,
)
from tests.examples import examples
from tests.theory.exact import log_integral, log_volume
from tests.theory.exact import log_sphere_area as log_area

DIMENSIONS = [1, 2, 3, 7, 16, 29, 30, 31, 64, 256, 768, 1024, 4096, 2**20]
every_dimension = pytest.mark.parametrize("n", DIMENSIONS)


def radii(n: int) -> list[float]:
    """From tiny to huge, at unit volume, and on both sides of where the method changes."""
    half, change = math.sqrt(n / 2), math.sqrt(n / 2 + 1 + 3 * math.sqrt(n / 2))
    scales = [0.01, 0.5, 0.99, 1.01, 1.2, 2, 10]
    return [
        1e-3,
        0.5,
        1.0,
        2.0,
        asymptotic_unit_radius(n),
        unit_volume_radius(n),
        change * (1 - 1e-9),
        change * (1 + 1e-9),
    ] + [half * scale for scale in scales]


def allowed(n: int, exact: Any) -> float:
    """1e-12 of the logarithm, or what rounding of the radius itself does to it, which is n ulps."""
    return max(1e-12 * abs(float(exact)), min(1e-9, 4 * n * 2.0**-52), 4 * 2.0**-52)


@every_dimension
def test_the_volume_is_exact(n: int):
    for r in radii(n):
        exact = log_volume(n, r)
        assert abs(float(log_ball_volume(n, r) - exact)) <= allowed(n, exact), r


@every_dimension
def test_the_integral_is_exact(n: int):
    for r in radii(n):
        exact = log_integral(n, r)
        assert abs(float(log_ball_integral(n, r) - exact)) <= allowed(n, exact), r


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 64, 256])
def test_the_exact_integral_is_the_incomplete_gamma_function(n: int):
    for r in (0.1, 1.0, 2.0, 5.0):
        with mp.workdps(40):
            direct = mp.log(mp.pi ** (mp.mpf(n) / 2) * mp.gammainc(mp.mpf(n) / 2, 0, mp.mpf(r) ** 2, regularized=True))
        assert abs(log_integral(n, r) - direct) < mp.mpf(10) ** -28


def test_known_balls():
    assert math.exp(log_ball_volume(1, 3.0)) == pytest.approx(6, rel=1e-14)
    assert math.exp(log_ball_volume(2, 1.0)) == pytest.approx(math.pi, rel=1e-14)
    assert math.exp(log_ball_volume(3, 1.0)) == pytest.approx(4 * math.pi / 3, rel=1e-14)
    assert math.exp(log_ball_integral(1, 0.7)) == pytest.approx(math.sqrt(math.pi) * math.erf(0.7), rel=1e-14)
    assert math.exp(log_ball_integral(2, 1.0)) == pytest.approx(1.98586530, abs=5e-9)


@every_dimension
def test_volume_and_integral_grow_with_the_radius(n: int):
    grid = [math.sqrt(n / 2) * (0.5 + step / 200) for step in range(200 if n < 2**20 else 20)]
    volumes, integrals = [[f(n, r) for r in grid] for f in (log_ball_volume, log_ball_integral)]
    assert all(low < high for low, high in pairwise(volumes))
    assert all(low <= high for low, high in pairwise(integrals))
    assert all(low < high for low, high in pairwise(integrals[:20]))


@examples(200)
@given(n=st.integers(1, 5000), scale=st.floats(0.01, 3), step=st.floats(1e-6, 1))
def test_the_integral_is_below_volume_and_whole_space_and_grows(n: int, scale: float, step: float):
    r = math.sqrt(n / 2) * scale
    found, rounding = log_ball_integral(n, r), 1e-12 * n
    assert found <= log_ball_volume(n, r) + rounding
    assert found <= n / 2 * math.log(math.pi) + rounding
    assert log_ball_integral(n, r * (1 + step)) >= found - rounding


@every_dimension
def test_the_radius_of_unit_volume_has_volume_one(n: int):
    r = unit_volume_radius(n)
    assert abs(float(log_volume(n, r))) <= max(1e-14, 4 * n * 2.0**-52)
    assert abs(log_ball_volume(n, r)) <= max(1e-14, 4 * n * 2.0**-52)


@every_dimension
def test_the_asymptotic_radius_has_volume_about_one_over_the_root_of_pi_n(n: int):
    expected = -0.5 * math.log(math.pi * n)
    assert log_ball_volume(n, asymptotic_unit_radius(n)) == pytest.approx(expected, abs=1 / (6 * n) + 1e-9)


@every_dimension
def test_the_area_of_the_unit_sphere_is_exact(n: int):
    exact = log_area(n)
    assert abs(float(log_sphere_area(n) - exact)) <= allowed(n, exact)


@pytest.mark.parametrize("n", [1, 2, 64, 1024, 2**20])
def test_many_radii_at_once_are_the_radii_one_by_one(n: int):
    values = np.array([0.0, *radii(n), 0.0])
    together = log_ball_integrals(n, values)
    assert list(together[[0, -1]]) == [-math.inf, -math.inf]
    assert together[1:-1].tolist() == pytest.approx([log_ball_integral(n, r) for r in radii(n)], rel=1e-15, abs=1e-14)


@examples(200)
@given(n=st.integers(1, 2**20), scale=st.floats(-6, 0.5))
def test_the_radius_of_an_integral_is_the_way_back(n: int, scale: float):
    r = unit_volume_radius(n) * math.exp(scale)
    log_integral_of_r = log_ball_integral(n, r)
    assume(log_integral_of_r < n / 2 * math.log(math.pi) - 1e-6)
    back = radius_of_integral(n, log_integral_of_r)
    assert log_ball_integral(n, back) == pytest.approx(log_integral_of_r, rel=2e-15, abs=8 * n * 2.0**-52 + 1e-14)


@pytest.mark.parametrize("log_value", [0.5 * math.log(math.pi), 1.0, math.inf, math.nan])
def test_no_ball_holds_more_than_the_whole_space(log_value: float):
    with pytest.raises(InvalidInput, match="log_integral must be below") as caught:
        radius_of_integral(1, log_value)
    assert caught.value.field == "log_integral"


def test_an_integral_too_small_for_a_radius_is_refused():
    with pytest.raises(InvalidInput, match="below 1e-150"):
        radius_of_integral(1, -1000.0)


@pytest.mark.parametrize("n", [0, -1, 0.5, 2**37, math.nan, math.inf, 10**400])
@pytest.mark.parametrize("function", [asymptotic_unit_radius, unit_volume_radius, log_sphere_area])
def test_a_dimension_out_of_range_is_refused_and_named(function: Callable[[float], float], n: float):
    with pytest.raises(InvalidInput, match=r"^n must be from 1 to 68719476736, not ") as caught:
        function(n)
    assert caught.value.field == "n"


@pytest.mark.parametrize("r", [0, -1.0, 1e-151, 1e151, math.nan, math.inf])
@pytest.mark.parametrize("function", [log_ball_volume, log_ball_integral])
def test_a_radius_out_of_range_is_refused_and_named(function: Callable[[int, float], float], r: float):
    with pytest.raises(InvalidInput, match=r"^r must be from 1e-150 to 1e\+150, not ") as caught:
        function(3, r)
    assert caught.value.field == "r"


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, -0.5], [math.nan], [math.inf], [1e-200]])
def test_radii_out_of_range_are_refused(values: list[float]):
    with pytest.raises(InvalidInput) as caught:
        log_ball_integrals(3, np.array(values))
    assert caught.value.field == "radii"


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 2**24, 2**36])
@pytest.mark.parametrize("r", [1e-150, 1e-3, 1.0, 1e6, 1e150])
def test_extreme_balls_have_finite_logarithms(n: int, r: float):
    assert all(math.isfinite(f(n, r)) for f in (log_ball_volume, log_ball_integral))
