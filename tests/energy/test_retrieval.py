"""Retrieval, basins and curvature over many patterns, against the reference and known landscapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.theory import energy as reference
from service.theory import retrieval
from service.theory.energy import Kind
from service.theory.figure1 import PATTERNS_1D, PATTERNS_2D
from service.theory.storage import certified_radii
from workers.energy.curvature import curvatures
from workers.energy.patterns import Patterns, prepare_patterns
from workers.energy.retrieval import basin_test, retrieve
from workers.energy.weights import softmax_weights
from workers.neighbors.stored import StoredRows

Array = np.ndarray
KINDS: tuple[Kind, ...] = ("energy", "energy_mchn")


def patterns_of(rows: Array) -> Patterns:
    return prepare_patterns(StoredRows(rows))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [PATTERNS_1D, PATTERNS_2D], ids=["1-D", "2-D"])
def test_fixed_points_are_the_references(rows: Array, kind: Kind):
    starts = np.random.default_rng(0).uniform(-3, 2.5, size=(40, rows.shape[1]))
    for beta in (1.0, 3.0):  # at β = 2 the patterns 0 and 1 are about to merge, and nothing converges soon
        found = retrieve(patterns_of(rows), starts, beta, kind)
        true = retrieval.retrieve(rows, starts, beta, kind).points
        assert found.converged.all()
        np.testing.assert_allclose(found.points, true, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_curvature_is_the_references(kind: Kind, dtype: str):
    rng = np.random.default_rng(1)
    rows, points = rng.normal(size=(150, 12)).astype(dtype), rng.normal(size=(20, 12))
    found = curvatures(patterns_of(rows), points, 0.7, kind, sweeps=300)
    wide = rows.astype(np.float64)
    true = np.array([reference.smallest_curvature(wide, point, 0.7, kind) for point in points])
    np.testing.assert_allclose(found.values, true, atol=1e-4)
    assert (found.values + found.rounding >= true).all()  # from above: a negative one is a proof
    assert (found.rounding < 1e-9).all()


@pytest.mark.parametrize("room", [2**29, 0], ids=["in memory", "tile by tile"])
@pytest.mark.parametrize("kind", KINDS)
def test_curvature_where_one_pattern_has_almost_all_weight_is_that_of_the_others(
    kind: Kind, room: int, monkeypatch: pytest.MonkeyPatch
):
    """The second pattern weighs e⁻²⁵ by either energy, less than a rounding of the first; then e⁻³⁰, and nothing."""
    monkeypatch.setattr("workers.energy.weights.RESIDENT_BYTES", room)
    rows = np.array([[6, 0, 0], [11 / 6, 2.764, 0], [1, 0, 2.236], [-34, 0, 0]], dtype=np.float32)
    found = curvatures(patterns_of(rows), rows[:1].astype(np.float64), 1.0, kind, sweeps=300)
    plain = 2 if kind == "energy" else 1
    true = plain - reference.smallest_curvature(rows.astype(np.float64), rows[0].astype(np.float64), 1.0, kind)
    assert 1e-10 < true < 1e-8
    assert plain - found.values[0] == pytest.approx(true, rel=1e-3)


def test_a_weight_beyond_the_smallest_normal_number_counts_as_none():
    rows = np.array([[0.0, 0.0], [9.2, 0.0], [1.0, 0.0]], dtype=np.float32)
    patterns = patterns_of(rows)
    weights = softmax_weights(patterns, patterns.place(rows[:1].astype(np.float64)), 1.0, "energy")
    found = torch.cat([shares for _, shares in weights.tiles()], dim=1)[0, patterns.places_of(torch.arange(3))]
    true = [1 / (1 + math.exp(-1)), 0.0, math.exp(-1) / (1 + math.exp(-1))]
    np.testing.assert_allclose(found.numpy(), true, rtol=1e-6)


def test_half_way_between_two_patterns_the_energy_is_not_convex():
    rows = np.array([[0.0, 0.0], [3.0, 0.0]])
    found = curvatures(patterns_of(rows), np.array([[1.5, 0.0]]), 1.0, "energy")
    assert found.values[0] == pytest.approx(2 - 9)
    own = curvatures(patterns_of(rows), rows[:1], 1.0, "energy", own=np.array([0]))
    assert own.values[0] == pytest.approx(2)


def test_an_eigenvalue_that_only_rounding_makes_negative_proves_nothing():
    """The two patterns of the cluster coincide to the digits of products of rows of 1e8."""
    rows = np.array([[1e8, 3e7], [1e8 + 1e-6, 3e7], [-1e8, 1e7], [2e7, -1e8]])
    found = curvatures(patterns_of(rows), rows[:1], 1.0, "energy")
    true = reference.smallest_curvature(rows, rows[0])
    assert true == pytest.approx(2)
    assert found.values[0] + found.rounding[0] >= true


def test_balls_that_provably_attract_do():
    rng = np.random.default_rng(2)
    rows = 6 * rng.normal(size=(60, 8))
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    near, s = gaps.argmin(axis=1), gaps.min(axis=1)
    proved = np.flatnonzero(certified_radii(s, 60) > 0)
    assert len(proved) > 10
    fractions = [0.5, float((certified_radii(s, 60)[proved] / (s[proved] / 2)).min())]
    found = basin_test(patterns_of(rows), proved, near[proved], s[proved], fractions)
    assert found.stored == 1
    assert found.returned == {"random": [1.0, 1.0], "towards_nearest": [1.0, 1.0]}


def test_merged_patterns_do_not_return():
    """Two patterns closer than √2 share one minimum, half-way between them: outside both balls of Definition 1."""
    rows = np.array([[0.0], [1.0], [50.0], [51.2]])
    found = basin_test(patterns_of(rows), np.arange(4), np.array([1, 0, 3, 2]), np.array([1.0, 1.0, 1.2, 1.2]), [0.5])
    assert found.stored == 0
    assert found.returned["random"] == [0.0]


def test_every_step_of_the_basin_test_is_reported_and_may_end_it():
    rows = PATTERNS_2D
    arguments = (patterns_of(rows), np.arange(3), np.array([1, 0, 1]), np.array([2.0, 2.0, 2.0]))
    reported: list[float] = []
    basin_test(*arguments, tick=reported.append)
    assert len(reported) > 5
    assert reported == sorted(reported)
    assert reported[0] == 0
    assert reported[-1] < 1

    def cancelled(share: float) -> None:
        raise InterruptedError(share)

    with pytest.raises(InterruptedError):
        basin_test(*arguments, tick=cancelled)
