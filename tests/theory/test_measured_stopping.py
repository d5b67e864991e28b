"""The table of measured runs: made from a known law, it gives that law back, and says what it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from service.theory.measured_stopping import MeasuredCell, MeasuredModel, crossing, measured_stopping

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


def test_strict_and_at_most_differ_at_the_threshold_itself():
    cells = tuple(MeasuredCell(size, (mse,), (0.001,)) for size, mse in ((1e6, 0.05), (2e6, 0.04), (4e6, 0.02)))
    row = measured_stopping([MeasuredModel("one", 1e5, cells)], 0.04)["rows"][0]
    assert row["optimal_tokens"]["at_most"] == 2e6
    assert row["optimal_tokens"]["strict"] == 4e6
    assert row["optimal_tokens"]["interpolated"] == pytest.approx(2e6)


def test_intervals_over_seeds_mostly_hold_the_truth():
    held = {"tokens": 0, "exponent": 0}
    for draw in range(60):
        found = measured_stopping(law(2.0, seeds=5, spread=0.3, draw=draw), 0.04)
        low, high = found["rows"][1]["interval"]
        held["tokens"] += low < 6e6 < high
        low, high = found["exponents"]["interpolated"]["interval"]
        held["exponent"] += low < 2 < high
    assert all(45 <= count <= 60 for count in held.values()), held  # a bootstrap of five is a little narrow


def test_the_interval_of_one_seed_knows_its_window_only():
    one = measured_stopping(law(2.0, error=0.002), 0.04)
    assert all(row["interval"][0] < row["optimal_tokens"]["interpolated"] < row["interval"][1] for row in one["rows"])
    unknown = measured_stopping(law(2.0, error=None), 0.04)
    assert [row["interval"] for row in unknown["rows"]] == [None] * 3
    assert unknown["exponents"]["interpolated"]["interval"] is None


def test_without_a_crossing_there_is_a_reason_and_no_number():
    beyond = measured_stopping(law(2.0, error=0.001), 1e-9)
    before = measured_stopping(law(2.0, error=0.001), 1e3)
    for found, words in ((beyond, "beyond the grid"), (before, "at or before the grid's start")):
        for row in found["rows"]:
            assert row["optimal_tokens"]["interpolated"] is None
            assert row["interval"] is None
            assert words in row["reason"]
        assert found["exponents"]["interpolated"]["value"] is None
        assert all(entry["ratios"] is None for entry in found["laws"])


def test_one_model_has_no_exponent():
    found = measured_stopping(law(2.0)[:1], 0.04)
    assert {name: exponent["value"] for name, exponent in found["exponents"].items()} == {
        "interpolated": None,
        "strict": None,
        "at_most": None,
        "iso_mse": None,
    }


def test_a_curve_that_rises_again_crosses_where_it_first_falls():
    tokens, errors = np.array([1.0, 2.0, 4.0, 8.0]), np.array([[0.08, 0.02, 0.05, 0.01]])
    assert crossing(tokens, errors, 0.04)[0] == pytest.approx(2**0.5)
