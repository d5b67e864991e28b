"""The ball integral as the paper prints it, and bounds: which hold, which do not, which are tight."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.theory.ball_bounds import ball_bounds, balls_theory, printed_log_ball_integral
from service.theory.balls import asymptotic_unit_radius, log_ball_integral
from tests.examples import examples
from tests.theory.exact import log_printed_integral

DIMENSIONS = [1, 2, 3, 7, 16, 64, 256, 1024, 4096, 2**20]
MEDIUM = asymptotic_unit_radius(1024)


@pytest.mark.parametrize("n", DIMENSIONS)
def test_the_printed_integral_is_what_is_printed(n: int):
    for r in (1e-3, 0.7, 1.0, asymptotic_unit_radius(n), 10.0, 0.9 * n, n + 3.5 * math.sqrt(n), 3.0 * n):
        exact = log_printed_integral(n, r)
        assert abs(float(printed_log_ball_integral(n, r) - exact)) <= max(1e-12 * abs(float(exact)), 2e-15), r


@pytest.mark.parametrize(
    ("n", "r", "true", "printed"),
    [(2, 1.0, "1.98586530", "1.66027591"), (16, 3.0, "6415.22", "610942.64"), (50, 4.0, "5.989e+10", "4.358e+15")],
)
def test_the_printed_integral_is_another_function(n: int, r: float, true: str, printed: str):
    form = ".3e" if "e" in true else f".{len(true.split('.')[1])}f"
    assert format(math.exp(log_ball_integral(n, r)), form) == true
    assert format(math.exp(printed_log_ball_integral(n, r)), form) == printed


def test_how_far_the_printed_integral_is_off():
    assert f"{log_ball_integral(1024, MEDIUM):.4f}" == "-63.8690"
    assert f"{printed_log_ball_integral(1024, MEDIUM):.4f}" == "-11.7737"
    r = asymptotic_unit_radius(2**20)
    assert round(printed_log_ball_integral(2**20, r) - log_ball_integral(2**20, r)) == 61_146


def test_even_the_limit_of_the_printed_integral_is_wrong():
    assert math.exp(log_ball_integral(2, 1e6)) == pytest.approx(math.pi, rel=1e-14)
    assert math.exp(printed_log_ball_integral(2, 1e6)) == pytest.approx(2 * math.pi, rel=1e-14)


def test_the_bounds_at_gpt2_mediums_radius():
    bounds = ball_bounds(1024, MEDIUM)
    assert bounds.log_geometric is not None
    assert f"{bounds.log_lemma_5:.4f}" == "-63.9933"
    assert f"{bounds.log_jensen:.4f}" == "-63.8764"
    assert f"{log_ball_integral(1024, MEDIUM):.6f}" == "-63.869041"
    assert f"{bounds.log_geometric:.6f}" == "-63.869007"
    assert f"{bounds.log_printed_lower:.4f}" == "-11.7813"


@examples(400)
@given(n=st.integers(1, 2**20), scale=st.floats(-12, 3))
def test_the_corrected_bounds_enclose_the_integral(n: int, scale: float):
    r = math.sqrt(n / 2) * math.exp(scale)
    found, bounds = log_ball_integral(n, r), ball_bounds(n, r)
    rounding = 4e-16 * (n + r * r + abs(bounds.log_volume)) + 1e-14
    assert bounds.log_lemma_5 <= bounds.log_lower + rounding
    assert bounds.log_lower <= found + rounding
    assert found <= bounds.log_upper + rounding
    assert bounds.log_upper <= min(bounds.log_volume, bounds.log_whole_space)
    assert (bounds.log_geometric is None) == (r * r >= n / 2 + 1)


@examples(200)
@given(n=st.integers(1, 2), scale=st.floats(-12, 5))
def test_the_printed_lower_bound_holds_in_one_and_two_dimensions(n: int, scale: float):
    r = math.exp(scale)
    assert ball_bounds(n, r).log_printed_lower <= log_ball_integral(n, r) + 1e-14


@pytest.mark.parametrize(("n", "first", "last"), [(3, 2.7286, 3.2673), (16, 1.1336, 52.8854), (1024, 1.0020, 1e3)])
def test_where_the_printed_lower_bound_is_false(n: int, first: float, last: float):
    def false(r: float) -> bool:
        return ball_bounds(n, r).log_printed_lower > log_ball_integral(n, r)

    assert false(first + 1e-4)
    assert not false(first - 1e-4)
    assert false(last - 1e-4)
    assert false(last + 1e-4) == (n == 1024)  # there it ends only far beyond


@pytest.mark.parametrize("n", [1, 2, 3, 1024, 2**24])
@pytest.mark.parametrize("r", [1e-150, 0.5, 30.0, 1e150])
def test_the_answer_is_plain_json_with_a_note_where_the_bound_is_false(n: int, r: float):
    answer = balls_theory(n, r)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    literal = answer["paper_literal"]
    false = literal["log_lower"] > answer["corrected"]["log_ball_integral"]
    assert any("exceeds the integral" in note for note in answer["notes"]) == false
