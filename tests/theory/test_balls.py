from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import mpmath as mp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.balls import (
    asymptotic_unit_radius,
    log_ball_integral,
    log_ball_volume,
    unit_partition_radius,
    unit_volume_radius,
)
from tests.theory.exact import log_integral, log_volume

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


@settings(deadline=None, max_examples=200)
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
@pytest.mark.parametrize("d", [1, 2, 1000, 80_000, 8_013_769, 10**18])
def test_the_radius_of_unit_partition_solves_its_equation(n: int, d: int):
    r = unit_partition_radius(n, d)
    assert abs(log_ball_integral(n, r) + math.log(d)) <= max(1e-14 * math.log(d) + 2e-15, 4 * n * 2.0**-52)


@pytest.mark.parametrize("n", [1, 3, 64, 1024])
@pytest.mark.parametrize("d", [1, 80_000])
def test_the_radius_of_unit_partition_is_exact(n: int, d: int):
    with mp.workdps(40):
        residue = log_integral(n, unit_partition_radius(n, d)) + mp.log(d)
    assert abs(float(residue)) <= max(2e-14, 4 * n * 2.0**-52)


@pytest.mark.parametrize("n", [1, 2, 16, 1024, 2**20])
def test_more_patterns_have_smaller_balls(n: int):
    found = [unit_partition_radius(n, d) for d in (1, 2, 10, 10**3, 10**6, 10**12, 10**18)]
    assert all(high > low for high, low in pairwise(found))


@pytest.mark.parametrize("d", [0, -1])
def test_no_patterns_have_no_radius(d: int):
    with pytest.raises(InvalidInput) as caught:
        unit_partition_radius(3, d)
    assert caught.value.field == "d"


@pytest.mark.parametrize(
    ("n", "asymptotic", "unit_volume", "partition"),
    [
        (1024, 7.743063, 7.773659, {1: 8.315551, 80_000: 8.210470, 8_013_769: 8.168088}),
        (2**20, 247.778022, 247.779795, {1: 264.933381, 80_000: 264.930088}),
    ],
)
def test_the_numbers_of_the_reference(n: int, asymptotic: float, unit_volume: float, partition: dict[int, float]):
    assert asymptotic_unit_radius(n) == pytest.approx(asymptotic, abs=5e-7)
    assert unit_volume_radius(n) == pytest.approx(unit_volume, abs=5e-7)
    for d, radius in partition.items():
        assert unit_partition_radius(n, d) == pytest.approx(radius, abs=5.01e-7)
