"""D*: the rule on measured runs and on Table 3."""

from __future__ import annotations

import json
import math
from typing import Literal

import numpy as np
import pytest

from service.errors import InvalidInput
from service.theory.stopping import Cell, balance_exponent, optimal_tokens, stopping_gap
from service.theory.stopping_table import TABLE_3, column_ratios, exponent_range, stopping_table_theory

STEPS = np.arange(10_000)


def dataset(threshold: float, *, strict: bool = True) -> list[str | None]:
    rows = stopping_table_theory(threshold, strict=strict)["corrected"]["rows"]
    return [None if row["optimal_tokens"] is None else f"{row['optimal_tokens'] / 1e6:.2f}" for row in rows]


def test_the_printed_ratios_and_exponent():
    literal = stopping_table_theory()["paper_literal"]
    assert [f"{row['parameters_per_token_squared'] * 1e10:.2f}" for row in literal["rows"]] == ["8.71", "8.79", "8.38"]
    assert f"{literal['exponent']:.3f}" == "1.900"
    parameters, tokens = [row.parameters for row in TABLE_3], [row.optimal_tokens for row in TABLE_3]
    pairs = [(0, 1), (1, 2), (0, 2)]
    slopes = [balance_exponent([parameters[i] for i in pair], [tokens[i] for i in pair]) for pair in pairs]
    assert [f"{slope:.3f}" for slope in slopes] == ["2.048", "1.711", "1.895"]


def test_the_rule_on_the_printed_cells():
    assert dataset(0.04) == [None, "261.78", "309.37"]
    assert dataset(0.04, strict=False) == ["214.18", "237.98", "285.57"]
    assert dataset(0.05) == dataset(0.04, strict=False)
    assert dataset(0.055) == ["190.38", "214.18", "261.78"]
    found = stopping_table_theory(0.04, strict=False)["corrected"]
    ratios = [row["parameters_per_token_squared"] * 1e10 for row in found["rows"]]
    assert [f"{ratio:.2f}" for ratio in ratios] == ["8.71", "10.64", "9.83"]
    assert f"{found['exponent']:.2f}" == "2.33"
    assert stopping_table_theory(0.04)["corrected"]["exponent"] is None


def test_every_column_has_a_near_constant_ratio():
    assert [[f"{ratio * 1e10:.2f}" for ratio in column] for column in column_ratios()] == [
        ["14.31", "13.14", "11.70"],
        ["11.02", "10.64", "9.83"],
        ["8.71", "8.79", "8.38"],
        ["7.05", "7.39", "7.23"],
    ]


def test_the_exponents_that_the_grid_allows_are_those_of_a_fine_search():
    low, high = exponent_range()
    log_n = np.log([row.parameters for row in TABLE_3])
    sides = [np.linspace(math.log(row.cells[1].tokens), math.log(row.optimal_tokens), 41) for row in TABLE_3]
    log_d = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3)
    centred = log_d - log_d.mean(axis=1, keepdims=True)
    slopes = centred @ log_n / (centred**2).sum(axis=1)
    assert low - 1e-9 <= slopes.min() <= low + 1e-3
    assert high - 1e-3 <= slopes.max() <= high + 1e-9
    assert (f"{low:.2f}", f"{high:.2f}") == ("1.42", "2.43")


@pytest.mark.parametrize("threshold", [1e-6, 0.02, 0.04, 1, 1e6])
@pytest.mark.parametrize("strict", [True, False])
def test_the_answer_is_plain_json(threshold: float, strict: bool):
    answer = stopping_table_theory(threshold, strict=strict)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


@pytest.mark.parametrize("threshold", [0, -0.04, math.nan, math.inf])
def test_a_threshold_that_is_none_is_refused(threshold: float):
    with pytest.raises(InvalidInput, match="threshold") as caught:
        optimal_tokens([Cell(1.0, 0.1)], threshold)
    assert caught.value.field == "threshold"


def test_the_least_data_wins_whatever_the_order():
    cells = [Cell(3.0, 0.01), Cell(1.0, 0.5), Cell(2.0, 0.03)]
    assert optimal_tokens(cells, 0.04) == 2.0
    assert optimal_tokens(cells, 0.03) == 3.0
    assert optimal_tokens(cells, 0.03, strict=False) == 2.0
    assert optimal_tokens(cells, 0.01) is None
    assert optimal_tokens([], 0.01) is None


@pytest.mark.parametrize(("side", "expected"), [("before", range(5001, 6001)), ("after", range(6000, 7000))])
def test_the_window_is_beside_the_minimum(side: Literal["before", "after"], expected: range):
    losses = 4 - STEPS / 10_000
    validation = {5000: 3.6, 6000: 3.5, 7000: 3.5, 8000: 3.7}
    found = stopping_gap(STEPS, losses, list(validation), list(validation.values()), side=side)
    gaps = losses[list(expected)] - 3.5
    assert (found.step, found.min_val_loss, found.points) == (6000, 3.5, 1000)
    assert found.mse == pytest.approx(np.mean(gaps**2), rel=1e-12)
    assert found.mse == pytest.approx(found.mean_gap**2 + found.variance, rel=1e-12)


def test_a_run_logged_now_and_then_counts_what_it_logged():
    found = stopping_gap([0, 100, 200, 300], [4.0, 3.0, 2.0, 1.0], [300], [1.0], window=150)
    assert (found.points, found.mean_gap, found.variance) == (2, 0.5, 0.25)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("train_losses", ([0, 1], [1.0], [0], [1.0])),
        ("train_losses", ([0, 1], [1.0, math.nan], [0], [1.0])),
        ("train_losses", ([], [], [0], [1.0])),
        ("train_losses", ([0], [1.0], [5000], [1.0])),
        ("val_losses", ([0], [1.0], [], [])),
        ("val_losses", ([0], [1.0], [0], [math.inf])),
        ("val_losses", ([0], [1.0], [0, 1], [1.0])),
    ],
)
def test_runs_without_what_is_needed_are_refused(field: str, arguments: tuple):
    with pytest.raises(InvalidInput) as caught:
        stopping_gap(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_that_is_none_is_refused(window: int):
    with pytest.raises(InvalidInput, match="window"):
        stopping_gap([0], [1.0], [0], [1.0], window=window)


@pytest.mark.parametrize(("parameters", "tokens"), [([1.0], [1.0]), ([1.0, 2.0], [3.0]), ([1.0, 2.0], [3.0, 3.0])])
def test_an_exponent_needs_two_different_points(parameters: list[float], tokens: list[float]):
    with pytest.raises(InvalidInput, match="at least two different D"):
        balance_exponent(parameters, tokens)
