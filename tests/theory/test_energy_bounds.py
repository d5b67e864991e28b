"""Propositions 1 to 3 on thousands of random sets: what holds, what is printed and fails, and what is tight."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.theory import energy as ours
from service.theory.energy_bounds import EnergyBounds, bounds_theory, energy_bounds, norm_spread

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
