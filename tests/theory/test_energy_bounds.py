"""Propositions 1 to 3 on thousands of random sets: what holds, what is printed and fails, and what is tight."""

from __future__ import annotations

import json
import math

import mpmath as mp
import numpy as np
import pytest

from service.theory import energy as ours
from service.theory.energy_bounds import EnergyBounds, bounds_theory, energy_bounds, norm_spread
from tests.theory import exact_energy as exact

Array = np.ndarray


def bounds_of(patterns: Array, queries: Array) -> EnergyBounds:
    g, _ = ours.nearest(patterns, queries)
    return energy_bounds(
        g,
        ours.energy(patterns, queries),
        ours.energy_mchn(patterns, queries, 2.0),
        len(patterns),
        norm_spread(patterns),
    )


def random_set(rng: np.random.Generator) -> tuple[Array, Array]:
    """Dimensions 1 to 64, 1 to 64 patterns, scales .03 to 10, a third with equal norms; points on and between them."""
    n, d = rng.integers(1, 65, size=2)
    patterns = 10 ** rng.uniform(-1.5, 1) * rng.normal(size=(d, n))
    if rng.random() < 1 / 3:
        patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    pairs = rng.integers(d, size=(2, 3))
    middle = (patterns[pairs[0]] + patterns[pairs[1]]) / 2
    return patterns, np.concatenate([patterns[pairs[0]], middle, patterns.std() * rng.normal(size=(6, n))])


def test_corrected_bounds_hold_and_the_printed_third_fails_on_most_sets():
    rng, failing = np.random.default_rng(0), 0
    for _ in range(2000):
        held = bounds_of(*random_set(rng))
        assert held.proposition_1.failed_share == 0
        assert held.proposition_2_printed.failed_share == 0
        assert held.proposition_2.failed_share == 0
        assert held.proposition_3.failed_share == 0
        failing += held.proposition_3_printed.failed_share > 0
    assert failing > 1200  # 79 % of such sets


def test_counterexample_to_the_printed_third():
    held = bounds_of(np.array([[-1.0], [1.0]]), np.array([[1.0]]))
    assert held.spread == 0
    assert held.proposition_3_range[0] == pytest.approx(-0.674997, abs=5e-7)
    assert held.proposition_3_printed.failed_share == 1


def test_both_ends_of_the_corrected_third_are_attained():
    around = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert bounds_of(around, np.zeros((1, 2))).proposition_3_range[1] == pytest.approx(0, abs=1e-15)
    # The nearest pattern is the shortest, and the longest lies on its other side.
    patterns, point = np.array([[0.0], [60.0]]), np.array([[-10.0]])
    held = bounds_of(patterns, point)
    assert held.proposition_3_range[0] == pytest.approx(held.proposition_3.lower, rel=1e-12)


def test_the_difference_of_proposition_2_is_a_mean_over_the_weights():
    rng = np.random.default_rng(1)
    patterns, queries = rng.normal(size=(20, 4)), rng.normal(size=(9, 4))
    weights = ours.softmax_weights(patterns, queries)
    mean = np.log(weights @ np.exp(-ours.lifts(patterns)))
    shifted = 2 * ours.energy_mchn(patterns, queries, 2.0) - math.log(20)
    np.testing.assert_allclose(ours.energy(patterns, queries) - shifted, mean, rtol=1e-10, atol=1e-13)


def test_the_answer_has_both_readings():
    answer = bounds_theory(bounds_of(np.array([[-2.0], [0.0], [1.0]]), np.linspace(-3, 2, 31)[:, None]))
    assert answer["spread"] == 4
    assert answer["paper_literal"]["proposition_3"]["failed_share"] == pytest.approx(7 / 31)
    assert answer["corrected"]["proposition_3"]["failed_share"] == 0
    assert answer["corrected"]["proposition_2"]["upper"] == 0


def test_the_printed_third_fails_at_four_sets_of_five_and_at_all_of_equal_norms():
    """Of 2,000 sets 79 % and two thirds of their points; of equal norms, E − g = −log d alone would keep it."""
    rng = np.random.default_rng(2)
    sets, points, equal = [], [], []
    for _ in range(2000):
        patterns, queries = random_set(rng)
        held = bounds_of(patterns, queries)
        sets.append(held.proposition_3_printed.failed_share > 0)
        points.append(held.proposition_3_printed.failed_share)
        if held.spread < 1e-12 and len(patterns) > 1:
            equal.append(sets[-1])
    assert np.mean(sets) == pytest.approx(0.79, abs=0.04)
    assert np.mean(points) == pytest.approx(0.66, abs=0.06)
    assert np.mean(equal) > 0.99
    assert len(equal) > 500


def test_the_corrected_bounds_hold_in_50_digits():
    rng = np.random.default_rng(3)
    for _ in range(60):
        n, d = (int(size) for size in rng.integers(1, 9, size=2))
        patterns = 10 ** rng.uniform(-1.5, 0.5) * rng.normal(size=(d, n))
        x = patterns[0] if rng.random() < 0.3 else rng.normal(size=n)
        held = bounds_of(patterns, x[None])
        with mp.workdps(exact.DIGITS):
            g, energy, mchn = exact.g(patterns, x), exact.energy(patterns, x, 1), exact.energy_mchn(patterns, x, 2)
            spread, log_d, rounding = exact.spread(patterns), mp.log(d), mp.mpf(10) ** -45
            first, second, third = energy - g, energy - (2 * mchn - log_d), g - 2 * mchn
            assert -log_d - rounding <= first <= rounding
            assert -spread - rounding <= second <= rounding
            assert -(spread + log_d) - rounding <= third <= rounding
        size = 1e-14 * (1 + float(g + mchn + spread))
        assert held.spread == pytest.approx(float(spread), abs=size)
        assert held.proposition_1_range == pytest.approx([float(first)] * 2, abs=size)
        assert held.proposition_2_range == pytest.approx([float(second)] * 2, abs=size)
        assert held.proposition_3_range == pytest.approx([float(third)] * 2, abs=size)


def test_the_identity_of_proposition_2_in_50_digits():
    """E − (2E_MCHN − log d) = log of the mean of exp(−(M² − ‖ρ‖²)) under softmax(−‖x − ρ‖²)."""
    rng = np.random.default_rng(4)
    for _ in range(30):
        n, d = (int(size) for size in rng.integers(1, 9, size=2))
        patterns, x = 2 * rng.normal(size=(d, n)), rng.normal(size=n)
        shares, origin = exact.weights(patterns, x, 1, "energy"), np.zeros(n)
        with mp.workdps(exact.DIGITS):
            norms_sq = [exact.squared(pattern, origin) for pattern in patterns]
            mean = mp.fsum(p * mp.exp(value - max(norms_sq)) for p, value in zip(shares, norms_sq, strict=True))
            difference = exact.energy(patterns, x, 1) - (2 * exact.energy_mchn(patterns, x, 2) - mp.log(d))
            assert abs(difference - mp.log(mean)) < mp.mpf(10) ** -45


def test_the_first_is_an_equality_for_one_pattern_or_one_distance():
    one = bounds_of(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0], [1e4, 0.0]]))
    for interval in (one.proposition_1, one.proposition_2, one.proposition_3, one.proposition_3_printed):
        assert (interval.lower, interval.upper, interval.failed_share) == (0, 0, 0)
    assert one.proposition_1_range == one.proposition_3_range == (0, 0)
    around = bounds_of(np.eye(6), np.zeros((1, 6)))
    assert around.proposition_1_range == pytest.approx([around.proposition_1.lower] * 2, rel=1e-15)


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_energy_beyond_a_bound_is_counted(number: int, end: str):
    """One of four points misses one end by twice the rounding, and by half of it."""
    d, spread, rounding = 5, 2.0, 1e-6
    log_d = math.log(d)
    lower, upper = {1: (-log_d, 0), 2: (-spread, 0), 3: (-(spread + log_d), 0)}[number]
    for excess, failed in ((2.0, 0.25), (0.5, 0.0)):
        g, energy, mchn = np.full(4, 10.0), np.full(4, 9.5), np.full(4, (10 + log_d) / 2)
        slack = rounding * (1 + 10 + 10 + 12 + spread)
        value = upper + excess * slack if end == "upper" else lower - excess * slack
        if number == 1:
            energy[2] = g[2] + value
        elif number == 2:
            mchn[2] = (energy[2] - value + log_d) / 2
        else:
            mchn[2] = (g[2] - value) / 2
        held = energy_bounds(g, energy, mchn, d, spread, rounding=rounding)
        interval = {1: held.proposition_1, 2: held.proposition_2, 3: held.proposition_3}[number]
        assert (interval.lower, interval.upper) == (lower, upper)
        assert interval.failed_share == failed


def test_the_answer_is_json_and_shows_what_was_measured():
    rng = np.random.default_rng(5)
    patterns, queries = rng.normal(size=(7, 3)), rng.normal(size=(11, 3))
    held = bounds_of(patterns, queries)
    one_by_one = [bounds_of(patterns, query[None]) for query in queries]
    for number in (1, 2, 3):
        values = [getattr(one, f"proposition_{number}_range")[0] for one in one_by_one]
        assert getattr(held, f"proposition_{number}_range") == pytest.approx((min(values), max(values)), rel=1e-13)
    answer = bounds_theory(held)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["paper_literal"]["proposition_2"]["upper"] == held.spread
    assert answer["paper_literal"]["proposition_3"]["lower"] == -held.spread
    assert answer["paper_literal"]["proposition_3"]["upper"] == held.spread + math.log(7)
    assert answer["corrected"]["proposition_3"]["lower"] == -(held.spread + math.log(7))
    assert answer["measured"]["energy_minus_g"] == list(held.proposition_1_range)
    assert answer["measured"]["energy_minus_shifted_mchn"] == list(held.proposition_2_range)
    assert answer["measured"]["g_minus_twice_mchn"] == list(held.proposition_3_range)
    assert len(answer["notes"]) == 3
