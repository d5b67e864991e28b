"""The float64 reference of the energies against 50 digits, over dimensions, scales and offsets."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInput
from service.theory import energy as ours
from service.theory.energy import Kind
from service.theory.figure1 import PATTERNS_1D
from tests.examples import examples
from tests.theory import exact_energy as exact

Array = np.ndarray
KINDS: tuple[Kind, ...] = ("energy", "energy_mchn")
SHAPES = [(1, 1), (1, 5), (2, 3), (3, 64), (16, 40), (64, 20), (256, 12), (1024, 8)]
BETAS = (0.01, 0.5, 1.0, 2.0, 8.0)
TOLERANCE = 1e-12
ROUNDING = 5e-15  # the largest error seen over 2,000 random sets is 2.3e-15 of the sizes below


def case(n: int, d: int, scale: float, offset: float = 0.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(n + d)
    patterns = scale * rng.normal(size=(d, n)) + offset
    queries = np.stack([patterns[0], scale * rng.normal(size=n) + offset, patterns.mean(axis=0)])
    return patterns, queries


def worst(found: Array, true: list, beta: float) -> float:
    """Relative to max(|value|, 1/β): near 0 an energy is a difference of logarithms of size 1/β."""
    return max(abs(float(a - b)) / max(abs(float(b)), 1 / beta) for a, b in zip(found, true, strict=True))


@pytest.mark.parametrize("scale", [0.03, 1.0, 10.0])
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_energies_to_1e_12(n: int, d: int, scale: float):
    patterns, queries = case(n, d, scale)
    g, ids = ours.nearest(patterns, queries)
    np.testing.assert_allclose(g, [float(exact.g(patterns, x)) for x in queries], rtol=TOLERANCE)
    np.testing.assert_array_equal(ids, [int(np.argmin(np.square(patterns - x).sum(axis=1))) for x in queries])
    for beta in BETAS:
        true = [exact.energy(patterns, x, beta) for x in queries]
        assert worst(ours.energy(patterns, queries, beta), true, beta) <= TOLERANCE
        true = [exact.energy_mchn(patterns, x, beta) for x in queries]
        assert worst(ours.energy_mchn(patterns, queries, beta), true, beta) <= TOLERANCE


def test_massive_dimensions_far_from_the_origin():
    patterns, queries = case(64, 20, 1.0)
    patterns[:, 3], queries[:, 3] = 1e4 + patterns[:, 3], 1e4 + queries[:, 3]
    assert worst(ours.energy(patterns, queries), [exact.energy(patterns, x, 1.0) for x in queries], 1.0) <= TOLERANCE
    mchn = [exact.energy_mchn(patterns, x, 2.0) for x in queries]
    assert worst(ours.energy_mchn(patterns, queries, 2.0), mchn, 2.0) <= TOLERANCE


def test_known_values():
    one, point = np.array([[1.0, 2.0]]), np.array([[4.0, 6.0]])
    assert ours.energy(one, point)[0] == 25.0  # d = 1: E = g
    around = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert ours.energy(around, np.zeros((1, 2)))[0] == pytest.approx(1 - math.log(4), rel=1e-15)
    copies = np.zeros((5, 3))
    assert ours.energy(copies, copies[:1])[0] == pytest.approx(-math.log(5), rel=1e-15)
    far = np.array([[0.0], [1.0]])
    assert ours.energy(far, np.array([[1e4]]))[0] == pytest.approx((1e4 - 1) ** 2, rel=1e-15)  # g = 1e8


def test_translation_changes_mchn_only():
    patterns, queries = case(16, 30, 1.0)
    assert ours.energy(patterns + 7, queries + 7) == pytest.approx(ours.energy(patterns, queries), rel=1e-11)
    assert np.abs(ours.energy_mchn(patterns + 7, queries + 7) - ours.energy_mchn(patterns, queries)).max() > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
def test_gradient_and_hessian_against_differences(kind: Kind, beta: float):
    patterns, queries = case(3, 6, 1.0)
    value = ours.energy if kind == "energy" else ours.energy_mchn
    step = 1e-4
    for x in queries:
        shifts = step * np.eye(3)
        slope = (value(patterns, x + shifts, beta) - value(patterns, x - shifts, beta)) / (2 * step)
        np.testing.assert_allclose(ours.gradient(patterns, x[None], beta, kind)[0], slope, atol=1e-6)
        hessian = (
            ours.gradient(patterns, x + shifts, beta, kind) - ours.gradient(patterns, x - shifts, beta, kind)
        ) / (2 * step)
        smallest = np.linalg.eigvalsh((hessian + hessian.T) / 2)[0]
        assert ours.smallest_curvature(patterns, x, beta, kind) == pytest.approx(smallest, abs=1e-5)


def test_weights_and_their_entropy():
    patterns, queries = case(8, 30, 0.5)
    for kind in KINDS:
        weights = ours.softmax_weights(patterns, queries, 2.0, kind)
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)
    scores = 2.0 * queries @ patterns.T
    attention = np.exp(scores - scores.max(axis=1, keepdims=True))
    attention /= attention.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours.softmax_weights(patterns, queries, 2.0, "energy_mchn"), attention, rtol=1e-10)
    assert ours.entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [0.0, math.log(2)]


@pytest.mark.parametrize("beta", [0, -1.0, math.nan, math.inf, 1e13])
def test_a_wrong_inverse_temperature_is_named(beta: float):
    with pytest.raises(InvalidInput) as caught:
        ours.energy(np.ones((2, 1)), np.ones((1, 1)), beta)
    assert caught.value.field == "beta"


def random_case(rng: np.random.Generator, n: int, d: int) -> tuple[Array, Array]:
    """Scales .03 to 10; a half far from the origin in some coordinates, a fifth with a duplicate."""
    scale, offset = 10 ** rng.uniform(-1.5, 1), rng.choice([0.0, 1e4])
    patterns = scale * rng.normal(size=(d, n))
    if rng.random() < 0.2:
        patterns[rng.integers(d)] = patterns[0]
    queries = np.stack([patterns[0], scale * rng.normal(size=n), patterns.mean(axis=0)])
    massive = offset * (rng.random(n) < max(0.05, 1 / n))
    return patterns + massive, queries + massive


def lifts_size(patterns: Array) -> float:
    """Size of the terms of ‖ρ_M‖² − ‖ρ‖² = (ρ_M − ρ)·(ρ_M + ρ) by Cauchy and Schwarz."""
    longest = patterns[np.square(patterns).sum(axis=1).argmax()]
    return float((np.linalg.norm(longest - patterns, axis=1) * np.linalg.norm(longest + patterns, axis=1)).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n", "sets"), [(1, 30), (2, 30), (3, 30), (16, 15), (64, 6), (256, 2), (1024, 2)], ids=lambda value: str(value)
)
def test_random_sets_to_a_few_roundings(n: int, sets: int, kind: Kind):
    """E, the weights, their entropy and the gradient, each relative to the size of what it is made of.

    With relative errors ε of the distances the energy, whose slope in them is the weights, has an error of ε Σ p D, and
    Σ p D = E + H/β is at most |E| + log d/β; an exponent has one of ε β max D, and so, relatively, has its weight.
    The terms of the lifts add to D where it is lifted.
    """
    rng = np.random.default_rng(n)
    for _ in range(sets):
        patterns, queries = random_case(rng, n, int(rng.integers(1, 65 if n < 1024 else 17)))
        beta = float(rng.choice(BETAS))
        lifted = lifts_size(patterns) if kind == "energy_mchn" else 0.0
        value, true_value = (ours.energy, exact.energy) if kind == "energy" else (ours.energy_mchn, exact.energy_mchn)
        found = (
            value(patterns, queries, beta),
            ours.softmax_weights(patterns, queries, beta, kind),
            ours.gradient(patterns, queries, beta, kind),
        )
        entropies = ours.entropy(found[1])
        for at, x in enumerate(queries):
            true = true_value(patterns, x, beta)
            assert abs(float(found[0][at] - true)) <= ROUNDING * max(abs(float(true)), 1 / beta, lifted)
            shares = exact.weights(patterns, x, beta, kind)
            far = float(np.linalg.norm(x - patterns, axis=1).max())
            condition = ROUNDING * (1 + beta * (far * far + lifted))
            weights = np.array(shares, dtype=np.float64)
            np.testing.assert_allclose(found[1][at], weights, rtol=condition, atol=1e-300)
            assert abs(float(entropies[at] - exact.entropy(shares))) <= condition
            slope = np.array(exact.gradient(patterns, x, shares, kind), dtype=np.float64)
            np.testing.assert_allclose(found[2][at], slope, rtol=0, atol=far * condition)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 9), d=st.integers(1, 12), beta=st.sampled_from(BETAS))
@examples(60)
def test_the_smallest_curvature_is_that_of_the_hessian_written_out(seed: int, n: int, d: int, beta: float):
    patterns, queries = random_case(np.random.default_rng(seed), n, d)
    patterns, queries = patterns - queries[2], queries - queries[2]
    for kind in KINDS:
        for x in queries:
            weights = np.array(exact.weights(patterns, x, beta, kind), dtype=np.float64)
            mean = weights @ patterns
            covariance = sum(w * np.outer(row - mean, row - mean) for w, row in zip(weights, patterns, strict=True))
            hessian = 2 * np.eye(n) - 4 * beta * covariance if kind == "energy" else np.eye(n) - beta * covariance
            found, size = ours.smallest_curvature(patterns, x, beta, kind), np.abs(hessian).sum()
            assert found == pytest.approx(np.linalg.eigvalsh(hessian)[0], abs=1e-12 * (1 + beta * size) * size)


@pytest.mark.parametrize(("kind", "beta", "least"), [("energy", 1, -2.28), ("energy_mchn", 1, -0.62), ("energy_mchn", 2, -2.25)])  # fmt: skip # noqa: E501
def test_no_energy_of_the_papers_line_is_convex(kind: Kind, beta: float, least: float):
    grid = np.linspace(-3, 2, 5001)[:, None]
    found = min(ours.smallest_curvature(PATTERNS_1D, x, beta, kind) for x in grid)
    assert f"{found:.2f}" == f"{least:.2f}"


@pytest.mark.parametrize("beta", [1e-12, *BETAS, 1e12])
def test_one_pattern_and_patterns_at_one_distance(beta: float):
    one, points = np.array([[1.0, -2.0, 0.5]]), np.array([[1.0, -2.0, 0.5], [4.0, 2.0, 0.5], [1e4, 0.0, 0.0]])
    g, _ = ours.nearest(one, points)
    np.testing.assert_array_equal(ours.energy(one, points, beta), g)  # E = g
    np.testing.assert_array_equal(ours.energy_mchn(one, points, beta), g / 2)
    np.testing.assert_array_equal(ours.gradient(one, points, beta), 2 * (points - one))
    around = 3 * np.concatenate([np.eye(4), -np.eye(4)])
    for points_again in (around, np.full((8, 4), 1.5)):  # at one distance of their mean, and duplicates
        mean = points_again.mean(axis=0, keepdims=True)
        g, _ = ours.nearest(points_again, mean)
        assert ours.energy(points_again, mean, beta)[0] == pytest.approx(g[0] - math.log(8) / beta, rel=1e-15)
        assert ours.softmax_weights(points_again, mean, beta).tolist() == [[1 / 8] * 8]
        assert ours.entropy(np.full((1, 8), 1 / 8))[0] == pytest.approx(math.log(8), rel=1e-15)
        assert not ours.gradient(points_again, mean, beta).any()


@pytest.mark.parametrize("beta", [0.01, 1.0, 1e12])
def test_nothing_overflows_far_away(beta: float):
    patterns, far = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[-1e4, 0.0], [0.0, 1e4], [1e100, 0.0]])
    assert ours.nearest(patterns, far)[0].tolist()[:2] == [1e8, 1e8]
    for kind, value in zip(KINDS, (ours.energy, ours.energy_mchn), strict=True):
        assert np.isfinite(value(patterns, far, beta)).all()
        assert np.isfinite(ours.gradient(patterns, far, beta, kind)).all()
        assert ours.softmax_weights(patterns, far, beta, kind).sum(axis=1) == pytest.approx(1, rel=1e-15)


def test_a_translation_of_whole_steps_changes_no_bit():
    patterns, queries = (np.round(rows * 1024) / 1024 for rows in case(16, 30, 1.0))
    moved = patterns + 4096, queries + 4096
    for beta in BETAS:
        np.testing.assert_array_equal(ours.energy(*moved, beta), ours.energy(patterns, queries, beta))
        np.testing.assert_array_equal(ours.gradient(*moved, beta), ours.gradient(patterns, queries, beta))
        assert (ours.energy_mchn(*moved, beta) > ours.energy_mchn(patterns, queries, beta) + 1).any()
    np.testing.assert_array_equal(ours.nearest(*moved)[0], ours.nearest(patterns, queries)[0])


def test_blocks_of_queries_change_no_bit():
    rng = np.random.default_rng(3)
    patterns, queries = rng.normal(size=(64, 256)), rng.normal(size=(130, 256))  # three blocks
    one_by_one = np.concatenate([ours.squared_distances(patterns, query[None]) for query in queries])
    np.testing.assert_array_equal(ours.squared_distances(patterns, queries), one_by_one)


def test_the_first_of_equally_near_patterns_is_named():
    patterns = np.array([[5.0], [1.0], [-1.0], [1.0]])
    g, ids = ours.nearest(patterns, np.array([[0.0], [1.0], [-1.0]]))
    assert (g.tolist(), ids.tolist()) == ([1.0, 0.0, 0.0], [1, 1, 2])


def test_lifts_keep_the_digits_of_nearly_equal_norms():
    patterns = 1e4 + np.array([[2.0**-20, 0.0], [0.0, 2.0**-21], [0.0, 0.0]])
    with mp.workdps(exact.DIGITS):
        norms_sq = [sum(mp.mpf(float(value)) ** 2 for value in row) for row in patterns]
        true = [float(norms_sq[0] - value) for value in norms_sq]
    np.testing.assert_allclose(ours.lifts(patterns), true, rtol=1e-12)  # ‖ρ‖² in doubles has 8 digits of them at most


@pytest.mark.parametrize("beta", [0, -1.0, 1e-13, 1e13, math.nan, -math.inf])
def test_every_function_of_an_inverse_temperature_checks_it(beta: float):
    patterns = np.ones((2, 1))
    functions = (ours.energy, ours.energy_mchn, ours.softmax_weights, ours.gradient)
    calls = [lambda f=f: f(patterns, patterns, beta) for f in functions]
    calls += [lambda: ours.smallest_curvature(patterns, patterns[0], beta), lambda: ours.check_beta(beta)]
    for call in calls:
        with pytest.raises(InvalidInput, match="beta") as caught:
            call()
        assert caught.value.field == "beta"


@pytest.mark.parametrize("beta", [1e-12, 1, 1e12])
def test_the_ends_of_the_range_are_accepted(beta: float):
    assert ours.check_beta(beta) == beta


ROWS = np.ones((3, 2))


@pytest.mark.parametrize(
    ("patterns", "queries", "field"),
    [
        (np.empty((0, 2)), ROWS, "patterns"),
        (np.empty((3, 0)), np.empty((1, 0)), "patterns"),
        (np.ones(2), ROWS, "patterns"),
        (np.ones((1, 3, 2)), ROWS, "patterns"),
        (ROWS, np.ones((3, 1)), "queries"),
        (ROWS, np.ones((3, 3)), "queries"),
        (ROWS, np.ones(2), "queries"),
        (1e150 * ROWS, ROWS, "patterns"),
        (ROWS, -1e150 * ROWS, "queries"),
        (np.where(np.eye(3, 2), np.nan, 1.0), ROWS, "patterns"),
        (ROWS, np.where(np.eye(3, 2), np.inf, 1.0), "queries"),
    ],
)
def test_what_has_no_energy_is_refused_by_name(patterns: Array, queries: Array, field: str):
    with pytest.raises(InvalidInput) as caught:
        ours.check_patterns_and_queries(patterns, queries)
    assert caught.value.field == field


def test_the_largest_accepted_numbers_have_energies():
    rows = np.array([[7e149, 7e149], [-7e149, -7e149]])
    ours.check_patterns_and_queries(rows, rows)
    assert ours.nearest(rows, rows)[0].tolist() == [0, 0]
    assert np.isfinite(ours.energy(rows, -rows / 2)).all()
    assert np.isfinite(ours.energy_mchn(rows, -rows / 2)).all()


def test_norms_that_tie_by_rounding_are_told_apart():
    patterns = np.array([[1e4, 0.0], [1e4, 8e-5]])
    np.testing.assert_allclose(ours.lifts(patterns), [6.4e-9, 0.0], rtol=1e-12)
    true = [exact.energy_mchn(patterns, x, 8.0) for x in patterns]
    assert worst(ours.energy_mchn(patterns, patterns, 8.0), true, 8.0) <= TOLERANCE
