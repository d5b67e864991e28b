"""Retrieval: the energy never increases, fixed points are stationary, and when patterns merge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.theory import energy as ours
from service.theory.energy import Kind
from service.theory.figure1 import PATTERNS_2D
from service.theory.retrieval import attractors, majorization_step, retrieval_step, retrieve

Array = np.ndarray
KINDS: tuple[Kind, ...] = ("energy", "energy_mchn")


@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 6), d=st.integers(1, 12),
    scale=st.floats(0.03, 10), beta=st.floats(0.05, 8), kind=st.sampled_from(KINDS),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_the_energy_never_increases(seed: int, n: int, d: int, scale: float, beta: float, kind: Kind):
    rng = np.random.default_rng(seed)
    patterns, points = scale * rng.normal(size=(d, n)), scale * rng.normal(size=(4, n))
    value = ours.energy if kind == "energy" else ours.energy_mchn
    before = value(patterns, points, beta)
    for _ in range(8):
        points = retrieval_step(patterns, points, beta, kind)
        after = value(patterns, points, beta)
        assert (after <= before + 1e-12 * (1 + np.abs(before) + 1 / beta)).all()
        before = after


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_points_have_no_gradient(kind: Kind):
    rng = np.random.default_rng(0)
    patterns, starts = 2 * rng.normal(size=(12, 5)), 2 * rng.normal(size=(20, 5))
    found = retrieve(patterns, starts, 1.5, kind)
    assert found.converged.all()
    np.testing.assert_allclose(ours.gradient(patterns, found.points, 1.5, kind), 0, atol=1e-10)


@pytest.mark.parametrize(("separation", "minima"), [(1.40, 1), (1.414, 1), (1.415, 2), (1.5, 2)])
def test_two_patterns_have_two_minima_when_farther_apart_than_root_2(separation: float, minima: int):
    patterns = np.array([[0.0], [separation]])
    ends = retrieve(patterns, np.array([[0.0], [separation]]), max_steps=200_000, tolerance=1e-13).points
    assert len(attractors(ends, apart=1e-3)) == minima


def test_the_lost_pattern_of_fig_1_returns_between_15_and_20():
    starts = PATTERNS_2D
    counts = [
        len(attractors(retrieve(PATTERNS_2D, starts, beta, "energy_mchn").points, apart=1e-3))
        for beta in (1, 2, 15, 20)
    ]
    assert counts == [2, 2, 2, 3]


def test_the_majorization_step_is_the_best_of_its_ball_and_the_printed_one_the_worst():
    rng = np.random.default_rng(1)
    patterns, queries = rng.normal(size=(30, 4)), rng.normal(size=(10, 4))
    step_sq = rng.uniform(0.01, 0.3, size=10)
    moved = majorization_step(patterns, queries, step_sq)
    assert (np.square(moved - queries).sum(axis=1) <= step_sq * (1 + 1e-12)).all()
    best = ours.nearest(patterns, moved)[0]
    directions = rng.normal(size=(200, 10, 4))
    directions *= np.sqrt(step_sq)[:, None] / np.linalg.norm(directions, axis=2, keepdims=True)
    for direction in directions:
        assert (ours.nearest(patterns, queries + direction)[0] >= best - 1e-12).all()
    near, ids = ours.nearest(patterns, queries)
    np.testing.assert_allclose(np.sqrt(best), np.maximum(np.sqrt(near) - np.sqrt(step_sq), 0), atol=1e-12)
    np.testing.assert_allclose(majorization_step(patterns, queries, near), patterns[ids], atol=1e-12)
