"""The table of measured runs: made from a known law, it gives that law back, and says what it cannot know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.theory.measured_stopping import measured_stopping
from service.theory.stopping import optimal_tokens
from service.theory.stopping_draws import MeasuredCell, MeasuredModel, crossing
from service.theory.stopping_table import TABLE_3

TOKENS = np.array([1e6, 2e6, 4e6, 8e6, 16e6, 32e6])
SIZES = {"small": 1e5, "middle": 4e5, "large": 16e5}


def law(
    power: float, *, error: float | None = 0.0, seeds: int = 1, spread: float = 0.0, draw: int = 5
) -> list[MeasuredModel]:
    """MSE = 0.04 · (D*/D)^1.5 with N = 1e-8 · D*^power scaled so that D* lies within the grid."""
    generator = np.random.Generator(np.random.PCG64(draw))
    models = []
    for name, parameters in SIZES.items():
        best = 6e6 * (parameters / 4e5) ** (1 / power)
        cells = []
        for size in TOKENS:
            mse = 0.04 * (best / size) ** 1.5 * np.exp(spread * generator.standard_normal(seeds) - spread**2 / 2)
            cells.append(MeasuredCell(float(size), tuple(map(float, mse)), (error,) * seeds))
        models.append(MeasuredModel(name, parameters, tuple(cells)))
    return models


@pytest.mark.parametrize("power", [1.0, 1.35, 2.0])
def test_a_known_law_comes_back(power: float):
    found = measured_stopping(law(power), 0.04)
    assert found["exponents"]["interpolated"]["value"] == pytest.approx(power, rel=1e-9)
    assert found["exponents"]["iso_mse"]["value"] == pytest.approx(power, rel=1e-9)
    for row, parameters in zip(found["rows"], SIZES.values(), strict=True):
        best = 6e6 * (parameters / 4e5) ** (1 / power)
        assert row["optimal_tokens"]["interpolated"] == pytest.approx(best, rel=1e-9)
        assert row["optimal_tokens"]["strict"] == min(size for size in TOKENS if size > best)
    spreads = {entry["power"]: entry["spread"] for entry in found["laws"]}
    assert spreads[power] == pytest.approx(1, rel=1e-9)
    assert min(spread for other, spread in spreads.items() if other != power) > 1.3


def test_the_grid_alone_moves_the_exponent_of_the_rule():
    found = measured_stopping(law(1.35), 0.04)
    assert found["exponents"]["strict"]["value"] != pytest.approx(1.35, abs=0.02)


def row_of(*errors_sq: float | None, threshold: float = 0.04) -> dict[str, Any]:
    """One model at D = 1M, 2M, 4M, …, a run in each cell; None: not measured."""
    cells = tuple(
        MeasuredCell(float(size), () if mse is None else (mse,), () if mse is None else (0.001,))
        for size, mse in zip(TOKENS, errors_sq, strict=False)
    )
    return measured_stopping([MeasuredModel("one", 1e5, cells)], threshold)["rows"][0]


def test_strict_and_at_most_differ_at_the_threshold_itself():
    found = row_of(0.05, 0.04, 0.02)["optimal_tokens"]
    assert (found["at_most"], found["strict"]) == (2e6, 4e6)
    assert found["interpolated"] == pytest.approx(2e6)


def test_on_measured_errors_the_two_readings_differ_by_the_printed_digits_only():
    # As in Table 3: cells that are printed 0.04, below and above it.
    found = row_of(0.0712, 0.0431, 0.0372, 0.0189)["optimal_tokens"]
    assert (found["strict"], found["at_most"]) == (4e6, 4e6)
    assert (found["printed_strict"], found["printed_at_most"]) == (8e6, 2e6)
    assert 2e6 < found["interpolated"] < 4e6


def test_the_printed_rules_read_table_3_as_the_papers_digits_do():
    for row in TABLE_3:
        cells = tuple(MeasuredCell(cell.tokens, (cell.mse + 0.003,), (None,)) for cell in row.cells)
        found = measured_stopping([MeasuredModel("one", row.parameters, cells)], 0.04)["rows"][0]["optimal_tokens"]
        assert found["printed_strict"] == optimal_tokens(row.cells, 0.04)
        assert found["printed_at_most"] == optimal_tokens(row.cells, 0.04, strict=False)


def test_a_cell_that_was_not_measured_is_said_and_nothing_crosses_it():
    row = row_of(0.08, None, 0.03, 0.02)
    assert row["optimal_tokens"]["interpolated"] is None
    assert row["interval"] is None
    assert row["optimal_tokens"]["strict"] == 4e6
    assert row["reasons"]["interpolated"] == "D = 2,000,000 not measured: nothing is interpolated across a gap"
    assert row["reasons"]["strict"] == "D = 2,000,000 not measured: D* may be less"


def test_a_gap_elsewhere_leaves_the_crossing_of_neighbours():
    before, after = row_of(None, 0.08, 0.02), row_of(0.08, 0.02, None)
    for row, left in ((before, 2e6), (after, 1e6)):
        assert row["optimal_tokens"]["interpolated"] == pytest.approx(left * 2**0.5)
        assert row["interval"] is not None
    assert "1,000,000 not measured: D* may be less" in before["reasons"]["interpolated"]
    assert after["reasons"] == {}


def test_not_measured_is_not_none_below():
    nothing, some, whole = row_of(None, None), row_of(0.09, None), row_of(0.09, 0.08)
    for row in (nothing, some, whole):
        assert set(row["optimal_tokens"].values()) == {None}
        assert set(row["parameters_per_token_squared"].values()) == {None}
    assert set(nothing["reasons"].values()) == {"no cell was measured"}
    assert set(some["reasons"].values()) == {"no measured cell is below the threshold; D = 2,000,000 not measured"}
    assert set(whole["reasons"].values()) == {"no cell is below the threshold: D* is beyond the grid, if there is one"}


def test_a_model_without_a_measured_cell_keeps_its_row():
    models = law(2.0)
    empty = MeasuredModel("none", 64e5, tuple(MeasuredCell(float(size), (), ()) for size in TOKENS))
    found = measured_stopping([*models, empty], 0.04)
    assert [row["model"] for row in found["rows"]] == [*SIZES, "none"]
    assert found["exponents"]["interpolated"]["value"] is None
    assert found["exponents"]["iso_mse"]["value"] == pytest.approx(2.0, rel=1e-9)  # of the cells that there are


@pytest.mark.parametrize("spread", [0.1, 0.4])
def test_intervals_over_seeds_hold_the_truth_as_often_as_they_say(spread: float):
    held, draws = {"tokens": 0, "exponent": 0}, 80
    for draw in range(draws):
        found = measured_stopping(law(2.0, seeds=5, spread=spread, draw=draw), 0.04)
        assert found["rows"][1]["interval_of"] == found["exponents"]["interpolated"]["interval_of"] == "seeds"
        low, high = found["rows"][1]["interval"]
        held["tokens"] += low < 6e6 < high
        low, high = found["exponents"]["interpolated"]["interval"]
        held["exponent"] += low < 2 < high
    assert all(count >= 0.95 * draws for count in held.values()), held


def test_the_interval_of_one_seed_knows_its_window_only():
    one = measured_stopping(law(2.0, error=0.002), 0.04)
    assert all(row["interval"][0] < row["optimal_tokens"]["interpolated"] < row["interval"][1] for row in one["rows"])
    assert {row["interval_of"] for row in one["rows"]} == {"window"}
    unknown = measured_stopping(law(2.0, error=None), 0.04)
    assert [(row["interval"], row["interval_of"]) for row in unknown["rows"]] == [(None, None)] * 3
    assert unknown["exponents"]["interpolated"]["interval"] is None


def test_an_interval_is_of_seeds_only_where_every_cell_has_some():
    models = law(2.0, seeds=5, spread=0.1)
    single = MeasuredCell(64e6, (1e-3,), (1e-4,))
    models[0] = MeasuredModel(models[0].name, models[0].parameters, (*models[0].cells, single))
    found = measured_stopping(models, 0.04)
    assert [row["interval_of"] for row in found["rows"]] == ["window", "seeds", "seeds"]
    assert found["exponents"]["interpolated"]["interval_of"] == "window"


def test_without_a_crossing_there_is_a_reason_and_no_number():
    beyond = measured_stopping(law(2.0, error=0.001), 1e-9)
    before = measured_stopping(law(2.0, error=0.001), 1e3)
    for found, words in ((beyond, "beyond the grid"), (before, "at or before the grid's start")):
        for row in found["rows"]:
            assert row["optimal_tokens"]["interpolated"] is None
            assert row["interval"] is None
            assert words in row["reasons"]["interpolated"]
        assert found["exponents"]["interpolated"]["value"] is None
        assert all(entry["ratios"] is None for entry in found["laws"])


def test_one_model_has_no_exponent():
    found = measured_stopping(law(2.0)[:1], 0.04)
    assert {name: exponent["value"] for name, exponent in found["exponents"].items()} == {
        "interpolated": None,
        "strict": None,
        "at_most": None,
        "printed_strict": None,
        "printed_at_most": None,
        "iso_mse": None,
    }


def test_a_curve_that_rises_again_crosses_where_it_first_falls():
    tokens, errors = np.array([1.0, 2.0, 4.0, 8.0]), np.array([[0.08, 0.02, 0.05, 0.01]])
    assert crossing(tokens, errors, 0.04)[0] == pytest.approx(2**0.5)


@pytest.mark.parametrize(
    ("errors_sq", "standard_errors"), [((0.05,), (0.004,)), ((0.04, 0.05, 0.07), (None,) * 3), ((0.0,), (0.0,))]
)
def test_the_interval_of_a_cell_is_that_of_its_draws(
    errors_sq: tuple[float, ...], standard_errors: tuple[float | None, ...]
):
    cell = MeasuredCell(1e6, errors_sq, standard_errors)
    drawn = cell.draw(np.random.Generator(np.random.PCG64(0)))
    assert cell.interval == pytest.approx(np.percentile(drawn, (2.5, 97.5)).tolist(), rel=0.1)


def test_a_cell_without_an_error_has_no_interval():
    assert MeasuredCell(1e6, (), ()).interval is None
    assert MeasuredCell(1e6, (0.05,), (None,)).interval is None
