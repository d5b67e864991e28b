"""The float64 reference of the energies against 50 digits, over dimensions, scales and offsets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.errors import InvalidInput
from service.theory import energy as ours
from service.theory.energy import Kind
from tests.theory import exact_energy as exact

Array = np.ndarray
KINDS: tuple[Kind, ...] = ("energy", "energy_mchn")
SHAPES = [(1, 1), (1, 5), (2, 3), (3, 64), (16, 40), (64, 20), (256, 12), (1024, 8)]
BETAS = (0.01, 0.5, 1.0, 2.0, 8.0)
TOLERANCE = 1e-12


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
