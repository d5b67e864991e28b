"""Z = 1: the radius, the number of patterns and the dimension of eq. (13), and the reference table of radii."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath as mp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.balls import asymptotic_unit_radius, log_ball_integral, unit_volume_radius
from service.theory.unit_partition import (
    unit_partition_dimension,
    unit_partition_log_patterns,
    unit_partition_radius,
    unit_partition_theory,
)
from tests.examples import examples
from tests.theory.exact import log_integral

# n, √(n/2πe), r of V = 1, their ratio, and r of Z = 1 for d = 1; 80,000; 8,013,769; 35,156,250
REFERENCE = """
2        0.342198   0.564190   1.648721   0.619015   0.001995   0.000199   0.000095
16       0.967883   1.094637   1.130960   1.182263   0.549673   0.409086   0.372381
64       1.935766   2.017740   1.042347   2.166045   1.773903   1.639280   1.598660
256      3.871532   3.922460   1.013155   4.199840   3.992281   3.911385   3.885862
768      6.705689   6.739780   1.005084   7.210476   7.089289   7.040600   7.025065
1024     7.743063   7.773659   1.003951   8.315551   8.210470   8.168088   8.154545
1280     8.657008   8.685120   1.003247   9.289836   9.195782   9.157760   9.145599
1600     9.678829   9.704641   1.002667   10.379681  10.295510  10.261420  10.250510
4096     15.486126  15.504025  1.001156   16.579631  16.526962  16.505533  16.498663
262144   123.889011 123.892230 1.000026   132.469507 132.462920 132.460232 132.459370
1048576  247.778022 247.779795 1.000007   264.933381 264.930088 264.928744 264.928313
"""
ROWS = [line.split() for line in REFERENCE.strip().splitlines()]
PATTERNS = (1, 80_000, 8_013_769, 35_156_250)
DIMENSIONS = [1, 2, 3, 7, 16, 64, 256, 1024, 4096, 2**20]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_reference_table_is_reproduced_to_every_printed_digit(row: list[str]):
    n = int(row[0])
    asymptotic, exact = asymptotic_unit_radius(n), unit_volume_radius(n)
    found = [asymptotic, exact, exact / asymptotic, *(unit_partition_radius(n, d) for d in PATTERNS)]
    assert [f"{value:.6f}" for value in found] == row[1:]


@pytest.mark.parametrize("n", DIMENSIONS)
@pytest.mark.parametrize("d", [1, 2, 1000, 80_000, 8_013_769, 10**18])
def test_the_radius_solves_its_equation(n: int, d: int):
    r = unit_partition_radius(n, d)
    assert abs(log_ball_integral(n, r) + math.log(d)) <= max(1e-14 * math.log(d) + 2e-15, 4 * n * 2.0**-52)


@pytest.mark.parametrize("n", [1, 3, 64, 1024, 2**20])
@pytest.mark.parametrize("d", [1, 80_000])
def test_the_radius_is_exact(n: int, d: int):
    with mp.workdps(40):
        residue = log_integral(n, unit_partition_radius(n, d)) + mp.log(d)
    assert abs(float(residue)) <= max(2e-14, 4 * n * 2.0**-52)


@pytest.mark.parametrize("n", [1, 2, 16, 1024, 2**20])
def test_more_patterns_have_smaller_balls(n: int):
    found = [unit_partition_radius(n, d) for d in (1, 2, 10, 10**3, 10**6, 10**12, 10**18)]
    assert all(high > low for high, low in pairwise(found))


@examples(200)
@given(n=st.integers(1, 2**20), d=st.integers(2, 10**18))
def test_radius_and_patterns_are_each_others_inverse(n: int, d: int):
    r = unit_partition_radius(n, d)
    assert unit_partition_log_patterns(n, r) == pytest.approx(math.log(d), abs=8 * n * 2.0**-52 + 1e-13)


@examples(100)
@given(d=st.integers(3, 10**18))
def test_in_the_dimension_found_the_papers_radius_has_z_1(d: int):
    n = unit_partition_dimension(d)
    assert unit_partition_log_patterns(n, asymptotic_unit_radius(n)) == pytest.approx(math.log(d), abs=1e-11)


@pytest.mark.parametrize(
    ("d", "dimension"), [(80_000, "142.75"), (8_013_769, "217.85"), (35_156_250, "242.20"), (9_000_000_000, "334.17")]
)
def test_the_dimension_is_that_of_the_reference(d: int, dimension: str):
    assert f"{unit_partition_dimension(d):.2f}" == dimension


def test_the_papers_radius_needs_more_patterns_than_there_are():
    assert f"{math.exp(unit_partition_log_patterns(1024, asymptotic_unit_radius(1024))):.1e}" == "5.5e+27"
    assert f"{unit_partition_log_patterns(1024, asymptotic_unit_radius(1024)):.3f}" == "63.869"
    assert f"{unit_partition_log_patterns(2**20, asymptotic_unit_radius(2**20)):.2f}" == "61401.33"


def test_z_fixes_the_radius_and_hardly_the_patterns():
    lower, upper = (unit_partition_radius(1024, 80_000 * factor) for factor in (10, 0.1))
    assert (f"{lower:.4f}", f"{upper:.4f}") == ("8.1893", "8.2318")


def test_both_radii_grow_as_the_root_of_the_dimension():
    n = 2**36
    assert unit_volume_radius(n) / math.sqrt(n) == pytest.approx(0.2419707, abs=5e-8)
    assert unit_partition_radius(n, 1) / math.sqrt(n) == pytest.approx(0.2587219, abs=5e-8)


@pytest.mark.parametrize("d", [0, -1, 0.5, math.nan, 2 * 10**18, 10**400])
@pytest.mark.parametrize("function", [lambda d: unit_partition_radius(3, d), unit_partition_dimension])
def test_numbers_of_patterns_out_of_range_are_refused(function, d: float):
    with pytest.raises(InvalidInput, match=r"^d must be from 1 to 1e\+18, not ") as caught:
        function(d)
    assert caught.value.field == "d"


@pytest.mark.parametrize("d", [1, 2])
def test_too_few_patterns_have_no_dimension(d: int):
    with pytest.raises(InvalidInput, match=rf"d must be at least 2\.11 for a dimension n ≥ 1, not {d}") as caught:
        unit_partition_dimension(d)
    assert caught.value.field == "d"


@pytest.mark.parametrize("n", [1, 64, 2**20])
def test_a_ball_that_is_too_large_alone_is_refused(n: int):
    most = unit_partition_radius(n, 1)
    assert unit_partition_log_patterns(n, most * (1 - 1e-9)) > 0
    with pytest.raises(InvalidInput, match=r"r must be at most .*, where one ball has Z = 1, not ") as caught:
        unit_partition_log_patterns(n, most * (1 + 1e-9))
    assert caught.value.field == "r"


@pytest.mark.parametrize(
    "given_", [(None, None, None), (5, None, None), (None, None, 1.0), (5, 3, 1.0), (None, 3, 1.0)]
)
def test_the_answer_needs_one_of_three_pairs(given_: tuple[int | None, int | None, float | None]):
    with pytest.raises(InvalidInput, match="give n and d, or n and r, or d alone"):
        unit_partition_theory(*given_)


def test_the_answers_say_what_was_not_given():
    assert unit_partition_theory(1024, 80_000, None)["corrected"] == {"radius": unit_partition_radius(1024, 80_000)}
    assert unit_partition_theory(1024, None, 7.743)["corrected"] == {
        "log_patterns": unit_partition_log_patterns(1024, 7.743)
    }
    assert unit_partition_theory(None, 100, None)["paper_literal"] == {"dimension": 100**2 / math.pi}
