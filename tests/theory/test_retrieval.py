"""Retrieval: the energy never increases, fixed points are stationary, and when patterns merge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.theory import energy as ours
from service.theory.energy import Kind
from service.theory.energy_global import printed_log_layer_energy
from service.theory.figure1 import PATTERNS_1D, PATTERNS_2D
from service.theory.retrieval import attractors, retrieval_step, retrieve
from tests.examples import examples

Array = np.ndarray
KINDS: tuple[Kind, ...] = ("energy", "energy_mchn")


@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 6), d=st.integers(1, 12),
    scale=st.floats(0.03, 10), beta=st.floats(0.05, 8), kind=st.sampled_from(KINDS),
)  # fmt: skip
@examples(150)
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


@pytest.mark.long
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


ONE_DIMENSION = [
    ("energy", 1, ["-1.956949", "0.493619"]),
    ("energy_mchn", 1, ["-1.952212"]),
    ("energy_mchn", 2, ["-1.999309", "0.820464"]),
]


@pytest.mark.parametrize(("kind", "beta", "minima"), ONE_DIMENSION)
def test_minima_of_the_papers_line_to_all_printed_digits(kind: Kind, beta: float, minima: list[str]):
    found = retrieve(PATTERNS_1D, np.linspace(-3.01, 2, 40)[:, None], beta, kind, tolerance=1e-14)
    assert found.converged.all()
    ends = attractors(found.points, apart=1e-5)
    assert [f"{end:.6f}" for end in ends[:, 0]] == minima
    assert all(ours.smallest_curvature(PATTERNS_1D, end, beta, kind) > 0 for end in ends)


def test_the_maximum_between_two_minima_divides_the_starts():
    left, right = np.array([[-1.0428905]]), np.array([[-1.0428895]])
    assert ours.gradient(PATTERNS_1D, left)[0, 0] > 0 > ours.gradient(PATTERNS_1D, right)[0, 0]
    assert ours.smallest_curvature(PATTERNS_1D, left[0]) < 0
    ends = retrieve(PATTERNS_1D, np.concatenate([left, right])).points[:, 0]
    assert ends == pytest.approx([-1.956949, 0.493619], abs=5e-7)


@pytest.mark.parametrize("beta", [1, 2, 5, 20, 100, 1000])
def test_mchn_never_retrieves_the_pattern_at_the_origin(beta: float):
    """Its score is 0, that of another pattern at least as large: ‖ρ‖² − max ρᵀρ_j = 0."""
    starts = np.concatenate([[[0.0]], np.linspace(-2.01, 1, 60)[:, None]])
    ends = attractors(retrieve(PATTERNS_1D, starts, beta, "energy_mchn").points, apart=1e-5)
    stable = [end for end in ends if ours.smallest_curvature(PATTERNS_1D, end, beta, "energy_mchn") > 0]
    assert len(stable) <= 2
    assert np.abs(stable).min() > 0.8


def test_minima_of_the_papers_plane_to_all_printed_digits():
    line = np.linspace(-3, 2.5, 9)
    starts = np.concatenate([np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), PATTERNS_2D])
    ends = attractors(retrieve(PATTERNS_2D, starts).points, apart=1e-4)
    shown = [(f"{x:.5f}", f"{y:.5f}") for x, y in ends]
    assert shown == [("-1.98205", "-0.49837"), ("0.19253", "-0.28844"), ("1.48994", "1.48607")]
    for beta, minima in ((1, 2), (2, 2), (15, 2), (20, 3)):
        ends = attractors(retrieve(PATTERNS_2D, starts, beta, "energy_mchn").points, apart=1e-3)
        assert len(ends) == minima
        assert (np.linalg.norm(ends - PATTERNS_2D[1], axis=1).min() < 0.1) == (minima == 3)


@pytest.mark.parametrize("beta", [0.01, 0.5, 1.0, 8.0])
def test_two_patterns_merge_closer_than_root_2_over_beta(beta: float):
    """Half-way between them the curvature is 2 − β s²."""
    threshold = np.sqrt(2 / beta)
    for share, minima in ((0.99, 1), (1.01, 2)):
        pair = np.array([[0.0], [share * threshold]])
        assert ours.smallest_curvature(pair, pair.mean(axis=0), beta) == pytest.approx(2 - 2 * share**2, rel=1e-9)
        ends = retrieve(pair, pair, beta).points
        assert len(attractors(ends, apart=1e-3 * threshold)) == minima


@given(seed=st.integers(0, 2**32), beta=st.floats(0.05, 8), kind=st.sampled_from(KINDS))
@examples(40)
def test_a_step_is_the_point_of_no_pull_and_stays_among_the_patterns(seed: int, beta: float, kind: Kind):
    rng = np.random.default_rng(seed)
    patterns, points = rng.normal(size=(9, 4)), 3 * rng.normal(size=(5, 4))
    moved = retrieval_step(patterns, points, beta, kind)
    pull = ours.gradient(patterns, points, beta, kind) / (2 if kind == "energy" else 1)
    np.testing.assert_allclose(moved, points - pull, atol=1e-13)
    assert (moved >= patterns.min(axis=0) - 1e-14).all()
    assert (moved <= patterns.max(axis=0) + 1e-14).all()


def test_steps_are_counted_and_their_end_is_told():
    patterns = np.array([[0.0], [4.0]])
    starts = np.array([[0.5], [4.0], [2.1]])
    kept = starts.copy()
    found = retrieve(patterns, starts)
    assert found.converged.all()
    np.testing.assert_array_equal(starts, kept)
    points, steps = starts, 0
    while steps < found.steps[2]:
        points, steps = retrieval_step(patterns, points), steps + 1
    assert points[2] == found.points[2]
    assert found.steps[1] < found.steps[2]
    cut = retrieve(patterns, starts, max_steps=int(found.steps[1]))
    assert cut.converged.tolist() == [found.steps[0] <= found.steps[1], True, False]
    assert cut.steps[2] == found.steps[1]
    alone = retrieve(patterns[1:], starts)
    assert (alone.points == 4).all()
    assert alone.steps.tolist() == [2, 1, 2]
    assert not retrieve(patterns, starts, max_steps=0).converged.any()
    assert retrieve(patterns, np.empty((0, 1))).points.shape == (0, 1)


def test_attractors_are_told_apart_and_put_in_order():
    ends = np.array([[2.0, 0.0], [-1.0, 3.0], [2.0, 1e-6], [-1.0, -3.0], [-1.0, 3.0]])
    assert attractors(ends, apart=1e-3).tolist() == [[-1.0, -3.0], [-1.0, 3.0], [2.0, 0.0]]
    assert len(attractors(ends, apart=1e-9)) == 4
    assert attractors(np.empty((0, 2)), apart=1.0).shape == (0, 2)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 6), d=st.integers(1, 12), step=st.floats(-3, 1.5))
@examples(100)
def test_the_smallest_g_within_reach_is_on_the_way_to_the_nearest_pattern(seed: int, n: int, d: int, step: float):
    """min g over {y: ‖y − x‖² ≤ δ} is (√g(x) − √δ)₊², as `‖y − ρ‖ ≥ ‖x − ρ‖ − √δ` for every pattern."""
    rng = np.random.default_rng(seed)
    patterns, query, length = rng.normal(size=(d, n)), 2 * rng.normal(size=(1, n)), np.sqrt(10.0**step)
    (g,), (nearest,) = ours.nearest(patterns, query)
    best = max(np.sqrt(g) - length, 0.0) ** 2
    moved = query + min(1.0, length / np.sqrt(g)) * (patterns[nearest] - query)
    assert ours.nearest(patterns, moved)[0] == pytest.approx(best, abs=1e-12)
    directions = rng.normal(size=(300, n))
    directions *= length / np.linalg.norm(directions, axis=1, keepdims=True)
    inside = rng.uniform(size=(300, 1)) ** (1 / n) * directions
    reached = ours.nearest(patterns, query + np.concatenate([inside, directions]))[0]
    assert (reached >= best - 1e-12).all()


def test_the_printed_rule_leads_away():
    """E_t = exp(−g_t)/Z_t is smallest where g is largest, and largest where the step with E_t = g_t ends."""
    pattern, query, angles = np.array([[3.0, 0.0]]), np.array([[2.0, 0.0]]), np.linspace(0, 2 * np.pi, 361)
    ball = query + 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    logs = printed_log_layer_energy(ours.nearest(pattern, ball)[0], -60_000.0)
    np.testing.assert_allclose(ball[logs.argmin()], [1.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(ball[logs.argmax()], [2.5, 0.0], atol=1e-12)
