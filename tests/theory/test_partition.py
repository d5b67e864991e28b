"""The partition function (13), (14), of equal balls and of balls of measured radii."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.balls import log_ball_integral
from service.theory.loss import proposition_4_loss
from service.theory.partition import (
    log_partition,
    partition_of_radii,
    partition_of_radii_theory,
    partition_theory,
)
from tests.examples import examples

FIELDS = {"log_ball_integral", "log_partition", "log_lower", "log_upper"}


def test_the_numbers_of_the_reference():
    answer = partition_theory(1024, 80_000, 10.0)
    assert f"{answer['corrected']['log_volume']:.3f}" == "257.888"
    assert f"{answer['corrected']['log_ball_integral']:.3f}" == "158.105"
    assert f"{answer['corrected']['log_partition']:.3f}" == "169.395"
    assert f"{answer['paper_literal']['log_partition']:.2f}" == "259.19"
    assert proposition_4_loss(log_partition(1024, 80_000, 10.0)).loss == pytest.approx(169.4, abs=0.05)


def test_the_paper_looks_right_at_its_radius_only_by_its_error():
    answer = partition_theory(1024, 80_000, 7.743)
    assert f"{answer['corrected']['log_partition']:.1f}" == "-52.6"
    assert f"{proposition_4_loss(answer['corrected']['log_partition']).loss:.1e}" == "6.9e+22"
    printed = partition_theory(1024, 80_000, math.sqrt(1024 / (2 * math.pi * math.e)))["paper_literal"]["log_partition"]
    assert f"{math.exp(printed):.4f}" == "0.6163"
    assert f"{proposition_4_loss(printed).loss:.4f}" == "1.1385"


@examples(200)
@given(n=st.integers(1, 2**20), d=st.integers(1, 10**18), scale=st.floats(-8, 3))
def test_the_bounds_enclose_the_partition_function(n: int, d: int, scale: float):
    r = math.sqrt(n / 2) * math.exp(scale)
    corrected = partition_theory(n, d, r)["corrected"]
    rounding = 4e-16 * (n + r * r + abs(corrected["log_lower"])) + 1e-13
    assert corrected["log_lower"] - rounding <= corrected["log_partition"] <= corrected["log_upper"] + rounding
    assert corrected["log_partition"] == pytest.approx(math.log(d) + corrected["log_ball_integral"], rel=1e-15)


@pytest.mark.parametrize("n", [1, 2, 1024, 2**24])
@pytest.mark.parametrize("d", [1, 10**18])
@pytest.mark.parametrize("r", [1e-150, 1.0, 1e150])
def test_the_answer_has_its_fields_and_no_infinity(n: int, d: int, r: float):
    answer = partition_theory(n, d, r)
    assert set(answer) == {"paper_literal", "corrected", "notes"}
    assert set(answer["paper_literal"]) == FIELDS
    assert set(answer["corrected"]) == FIELDS | {"log_volume"}
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


@pytest.mark.parametrize("n", [1, 64, 1024, 2**20])
@pytest.mark.parametrize("d", [1, 1000])
def test_equal_radii_are_the_homogeneous_case(n: int, d: int):
    r = 0.3 * math.sqrt(n)
    found = partition_of_radii(n, np.full(d, r))
    assert found.log_partition == pytest.approx(log_partition(n, d, r), rel=1e-14, abs=1e-12)
    assert found.effective_balls == pytest.approx(d, rel=1e-12)
    assert found.largest_share == pytest.approx(1 / d, rel=1e-12)
    assert found.equivalent_radius == pytest.approx(r, rel=1e-12)


@examples(100)
@given(n=st.integers(1, 4096), radii=st.lists(st.floats(0, 50), min_size=1, max_size=40))
def test_unequal_radii_add_up(n: int, radii: list[float]):
    radii = [0.0 if r < 1e-6 else r for r in radii]
    if not any(radii):
        radii[0] = 1.0
    found = partition_of_radii(n, np.array(radii))
    logs = np.array([log_ball_integral(n, r) for r in radii if r])
    expected = logs.max() + math.log(np.exp(logs - logs.max()).sum())
    assert found.log_partition == pytest.approx(expected, rel=1e-12, abs=1e-11)
    assert found.weights.sum() == pytest.approx(1, rel=1e-12)
    assert 1 - 1e-12 <= found.effective_balls <= len(radii) * (1 + 1e-12)
    assert 1 / found.effective_balls <= found.largest_share * (1 + 1e-12)
    assert found.equivalent_radius <= max(radii)
    again = log_partition(n, len(radii), found.equivalent_radius)
    assert again == pytest.approx(found.log_partition, rel=1e-11, abs=1e-9)


def test_duplicates_add_nothing():
    with_zeros, without = (partition_of_radii(64, np.array(r)) for r in ([0.0, 2.0, 0.0, 1.9], [2.0, 1.9]))
    assert with_zeros.log_partition == without.log_partition
    assert with_zeros.weights.tolist()[::2] == [0.0, 0.0]
    assert with_zeros.effective_balls == without.effective_balls


@pytest.mark.parametrize(("spread", "log_z"), [(0.25, 236), (0.5, 312), (1.0, 416), (2.0, 552)])
def test_a_few_of_the_largest_balls_carry_a_spread_of_radii(spread: float, log_z: float):
    """One draw of 80,000 radii around 10: the typical radius does not control Z."""
    radii = np.random.default_rng(0).normal(10, spread, 80_000)
    found = partition_of_radii(1024, radii)
    assert found.effective_balls < 10
    assert found.log_partition == pytest.approx(log_z, abs=25 * max(spread, 1))
    assert found.log_partition > log_partition(1024, 80_000, 10.0) + 50
    assert found.equivalent_radius > radii.mean() + 2 * spread


@pytest.mark.parametrize("radii", [[], [0.0], [0.0, 0.0], [-1.0], [math.nan], [math.inf], [[1.0, 2.0]]])
def test_radii_that_are_none_are_refused(radii: list[float]):
    with pytest.raises(InvalidInput) as caught:
        partition_of_radii(3, np.array(radii))
    assert caught.value.field == "radii"


def test_the_answer_for_given_radii():
    answer = partition_of_radii_theory(64, np.array([0.0, 1.5, 2.0]))
    found = partition_of_radii(64, np.array([0.0, 1.5, 2.0]))
    assert answer["corrected"]["log_partition"] == found.log_partition
    assert answer["paper_literal"]["log_partition"] > found.log_partition
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
