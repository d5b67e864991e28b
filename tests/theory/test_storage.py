"""The storage certificate: its figures, its two conditions, and that what it certifies does attract."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.theory.energy import smallest_curvature
from service.theory.retrieval import retrieval_step, retrieve
from service.theory.storage import certified_radii
from tests.examples import examples

Array = np.ndarray
SIZES = (80_000, 8_013_769, 35_156_250)
PRINTED = {
    20.0: ["9.551", "9.435", "9.399"],
    15.49: ["7.181", "7.033", "6.985"],
    5.0: ["0.98", "0.52", "0.37"],
}


@pytest.mark.parametrize(("distance", "radii"), PRINTED.items())
def test_the_printed_radii(distance: float, radii: list[str]):
    found = [certified_radii(np.array([distance]), size)[0] for size in SIZES]
    digits = len(radii[0].split(".")[1])
    assert [f"{radius:.{digits}f}" for radius in found] == radii


def conditions(s: float, patterns: int, r: float) -> tuple[bool, bool]:
    """Whether the update is a contraction of the ball of radius r, and whether the image lies in it."""
    with mp.workdps(40):
        s, r = mp.mpf(s), mp.mpf(r)
        decay = (patterns - 1) * mp.exp(-s * (s - 2 * r))
        return bool(2 * s**2 * decay < 1), bool(s * decay <= r)


@given(s=st.floats(0, 8), log_patterns=st.floats(math.log(2), 20))
@examples(300)
def test_it_is_the_largest_radius_that_meets_both_conditions(s: float, log_patterns: float):
    patterns = round(math.exp(log_patterns))
    radius = float(certified_radii(np.array([s]), patterns)[0])
    assert 0 <= radius < max(s / 2, 5e-324)
    if radius:
        assert s > math.sqrt(2)
        assert conditions(s, patterns, radius * (1 - 1e-9)) == (True, True)
        assert not conditions(s, patterns, radius * (1 + 1e-9))[0]
    elif s > math.sqrt(2):
        assert not any(all(conditions(s, patterns, r)) for r in np.linspace(0, s / 2, 12)[1:-1])


@pytest.mark.parametrize("patterns", [2, 3, 1000, *SIZES])
def test_the_smallest_certified_distance(patterns: int):
    """Where the image of the ball of the largest contraction just lies in it, its radius is 1/2s."""
    least = float(mp.findroot(lambda s: s**2 - mp.log(2 * (patterns - 1) * s**2) - 1, 5 if patterns > 3 else 2))
    below, above = certified_radii(least * np.array([1 - 1e-9, 1 + 1e-9]), patterns)
    assert below == 0
    assert above == pytest.approx(1 / (2 * least), rel=1e-6)
    assert not any(all(conditions(least * (1 - 1e-6), patterns, r)) for r in np.linspace(0, least / 2, 400)[1:-1])
    assert least > math.sqrt(2)


@given(s=st.floats(0, math.sqrt(2)), patterns=st.integers(2, 10**10))
def test_nothing_is_certified_for_patterns_that_may_merge(s: float, patterns: int):
    assert certified_radii(np.array([s, 0.0]), patterns).tolist() == [0, 0]


def test_it_grows_with_the_distance_and_falls_with_the_patterns():
    s = np.linspace(0, 30, 500)
    few, many = certified_radii(s, 10), certified_radii(s, 10_000)
    assert (np.diff(few) >= 0).all()
    assert (few >= many).all()
    assert (few[s > 6] > many[s > 6]).all()
    assert many[-1] / 15 > 0.97  # almost half of the distance
    assert certified_radii(np.array([1e100]), 10**6)[0] == pytest.approx(5e99)


def test_one_pattern_attracts_everything_and_shapes_are_kept():
    assert certified_radii(np.array([np.inf, 3.0]), 1).tolist() == [np.inf, np.inf]
    assert certified_radii(np.empty(0), 5).shape == (0,)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 12), d=st.integers(2, 30), spacing=st.floats(3, 12))
@examples(50)
def test_every_start_in_a_certified_ball_converges_into_it(seed: int, n: int, d: int, spacing: float):
    rng = np.random.default_rng(seed)
    patterns = spacing * rng.choice(16, size=(d, n)) + 0.3 * rng.normal(size=(d, n))
    gaps = np.linalg.norm(patterns[:, None] - patterns[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    radii = certified_radii(gaps.min(axis=1), d)
    certified = np.flatnonzero(radii > 0)
    ends = []
    for at in certified[:6]:
        starts = starts_in_the_ball(rng, patterns[at], float(radii[at]), patterns[gaps[at].argmin()])
        moved = retrieval_step(patterns, starts)
        assert (np.linalg.norm(moved - patterns[at], axis=1) <= radii[at]).all()
        assert all(smallest_curvature(patterns, start) > -1e-9 for start in starts)  # 2 − 4‖Cov‖ of a contraction
        found = retrieve(patterns, starts)
        assert found.converged.all()
        assert np.linalg.norm(found.points - found.points[0], axis=1).max() < 1e-9
        assert np.linalg.norm(found.points[0] - patterns[at]) < radii[at]
        ends.append(found.points[0])
    apart = [np.linalg.norm(a - b) for i, a in enumerate(ends) for b in ends[:i]]
    assert all(distance > 1 for distance in apart)


def starts_in_the_ball(rng: np.random.Generator, center: Array, radius: float, neighbor: Array) -> Array:
    """The centre, points inside, points just within the surface, and the one nearest to the neighbour."""
    directions = rng.normal(size=(12, len(center)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.concatenate([rng.uniform(size=6) ** (1 / len(center)), np.full(6, 1 - 1e-9)])
    towards = (neighbor - center) / np.linalg.norm(neighbor - center) * (1 - 1e-9)
    return center + radius * np.concatenate([[0 * center], lengths[:, None] * directions, [towards]])


def test_close_patterns_between_far_ones_leave_the_far_ones_certified():
    patterns = np.array([[0.0], [1.0], [50.0], [50.0], [80.0]])
    radii = certified_radii(np.array([1.0, 1.0, 0.0, 0.0, 30.0]), len(patterns))
    assert radii.tolist()[:4] == [0, 0, 0, 0]
    assert 14 < radii[4] < 15
    ends = retrieve(patterns, np.array([[80 - radii[4] * (1 - 1e-9)], [80 + radii[4]]])).points
    assert ends == pytest.approx(80)
