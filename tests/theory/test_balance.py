"""Prop. 5: the paper's way to N = O(D²) and what Z = 1 really asks for."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory.balance import balance_theory, lower_reading_dimension, model_balances, unit_partition_patterns
from service.theory.unit_partition import unit_partition_dimension
from tests.examples import examples


def test_the_models_of_appendix_f_3_are_those_of_the_reference():
    found = model_balances()
    assert [f"{m.predicted_ratio:.3e}" for m in found] == ["1.241e-05", "1.396e-05", "1.651e-05"]
    assert [f"{m.reported_ratio:.2e}" for m in found] == ["8.71e-10", "8.79e-10", "8.38e-10"]
    assert all(14_000 < m.predicted_ratio / m.reported_ratio < 20_000 for m in found)
    assert [f"{m.predicted_tokens / 1e6:.2f}" for m in found] == ["1.79", "2.08", "2.20"]
    assert [round(m.reported_tokens / m.predicted_tokens) for m in found] == [119, 126, 140]
    assert [round(m.log_partition) for m in found] == [-57_192, -76_737, -86_330]


def test_how_many_patterns_each_reading_asks_for():
    found = unit_partition_patterns(1024)
    assert f"{math.exp(found.log_upper_reading):.1f}" == "56.7"
    assert f"{math.exp(found.log_lower_reading):.2e}" == "1.31e+05"
    assert f"{math.exp(found.log_true):.1e}" == "5.5e+27"
    large = unit_partition_patterns(2**20)
    assert f"{math.exp(large.log_upper_reading):.0f}" == "1815"
    assert f"{math.exp(large.log_lower_reading):.1e}" == "7.4e+110"
    assert f"{large.log_true:.2f}" == "61401.33"
    assert round(large.log_true / math.log(10)) == 26_666


@pytest.mark.parametrize(
    ("d", "dimension"), [(80_000, "912.5"), (8_013_769, "2245.4"), (35_156_250, "2812.3"), (9_000_000_000, "5556.4")]
)
def test_the_dimension_of_the_printed_lower_bound(d: int, dimension: str):
    assert f"{lower_reading_dimension(d):.1f}" == dimension


@examples(100)
@given(d=st.integers(3, 10**18))
def test_each_reading_is_the_inverse_of_its_number_of_patterns(d: int):
    n = lower_reading_dimension(d)
    assert unit_partition_patterns(n).log_lower_reading == pytest.approx(math.log(d), abs=1e-11)
    assert unit_partition_patterns(unit_partition_dimension(d)).log_true == pytest.approx(math.log(d), abs=1e-11)


def test_the_true_dimension_grows_as_the_logarithm():
    low, high = unit_partition_dimension(10**9), unit_partition_dimension(10**18)
    assert (high - low) / math.log(1e9) == pytest.approx(2 * math.pi * math.e, rel=0.03)


def test_the_answer():
    answer = balance_theory(1024, 80_000)
    assert answer["paper_literal"]["dimension_upper"] == pytest.approx(80_000**2 / math.pi)
    assert answer["corrected"]["dimension"] == unit_partition_dimension(80_000)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert all("(" in note or "Prop." in note or "Table" in note for note in answer["notes"])


@pytest.mark.parametrize("d", [1, 2])
def test_too_few_patterns_are_refused(d: int):
    with pytest.raises(InvalidInput, match=rf"d must be at least .*, not {d}") as caught:
        lower_reading_dimension(d)
    assert caught.value.field == "d"
