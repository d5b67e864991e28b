"""Eqs. (12) to (14) and Prop. 4 at measured radii, the gap in volume, and Assumption 3 tested on found pairs."""

from __future__ import annotations

import json
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contracts.partition import Partition
from service.errors import InvalidInput
from service.theory.disjoint_balls import DisjointBalls, disjoint_balls
from service.theory.measured_partition import measured_partition, volume_gap
from tests.examples import examples
from tests.theory import exact

Array = np.ndarray


def neighbors_of(vectors: Array, k: int = 1) -> tuple[Array, Array]:
    """Distances and positions of the k nearest other rows, by brute force."""
    gaps = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    order = np.argsort(gaps, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(gaps, order, axis=1), order


def in_a_row(gaps: list[float]) -> Array:
    """Points of a line with these gaps between them, (m, 1)."""
    return np.concatenate([[0.0], np.cumsum(gaps)])[:, None]


def measured(n: int, radii: list[float], complete: bool = True) -> Partition:
    """The answer for these radii, each of a pair of its own; whatever it holds is JSON."""
    distances = np.repeat(2 * np.array(radii), 2)[:, None]
    neighbors = (np.arange(len(distances)) ^ 1)[:, None]
    answer = measured_partition(n, distances, neighbors, complete=complete)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    return Partition.model_validate(answer)


@pytest.mark.parametrize("n", [1, 2, 64, 1024])
@pytest.mark.parametrize("radii", [[1.0], [0.0, 1.5, 2.0], [7.7, 8.2, 0.0, 0.0, 7.9], [1e-3, 30.0]])
def test_every_number_is_that_of_40_digits(n: int, radii: list[float]):
    found, twice = measured(n, radii), [r for r in radii for _ in range(2)]
    with mp.workdps(exact.DIGITS):
        logs = [exact.log_integral(n, r) for r in twice if r]
        printed = mp.log(mp.fsum(mp.exp(exact.log_printed_integral(n, r)) for r in twice if r))
        log_z = mp.log(mp.fsum(mp.exp(part) for part in logs))
        shares = [mp.exp(part - log_z) for part in logs]
        effective = 1 / mp.fsum(share**2 for share in shares)
    assert (found.n, found.balls, found.disjoint.coinciding_rows) == (n, len(twice), twice.count(0.0))
    corrected, literal = found.corrected, found.paper_literal
    assert corrected.log_partition == pytest.approx(float(log_z), rel=1e-12, abs=1e-12)
    assert corrected.loss == corrected.log_partition
    assert corrected.effective_balls == pytest.approx(float(effective), rel=1e-9)
    assert corrected.largest_share == pytest.approx(float(max(shares)), rel=1e-9)
    assert literal.log_partition == pytest.approx(float(printed), rel=1e-12, abs=1e-12)
    with mp.workdps(exact.DIGITS):
        again = mp.log(len(twice)) + exact.log_integral(n, corrected.equivalent_radius)
    assert float(again) == pytest.approx(float(log_z), rel=1e-11, abs=1e-11)
    for log_partition, loss, log_loss in (
        (literal.log_partition, literal.loss, literal.log_loss),
        (corrected.log_partition, corrected.proposition_4_loss, corrected.proposition_4_log_loss),
    ):
        wanted = exact.loss(log_partition)
        assert log_loss == pytest.approx(float(mp.log(wanted)), rel=1e-12, abs=1e-15)
        assert (loss is None) == (wanted > mp.mpf("1.7976931348623157e308"))
        assert loss is None or loss == pytest.approx(float(wanted), rel=1e-12)


def test_a_loss_beyond_a_double_leaves_its_logarithm():
    found = measured(4096, [1.0]).corrected
    assert found.proposition_4_loss is None
    assert found.proposition_4_log_loss == -found.log_partition > 709


def test_radius_10_against_7_74_is_e_to_the_262_in_volume():
    gap = measured(1024, [10.0, 10.0]).volume_gap
    assert f"{gap.paper_literal.unit_radius:.6f}" == "7.743063"
    assert f"{gap.corrected.unit_radius:.6f}" == "7.773659"
    assert f"{gap.paper_literal.at_mean_radius:.1f}" == "261.9"
    assert f"{gap.corrected.at_mean_radius:.3f}" == "257.888"
    assert (gap.mean_radius, gap.median_radius) == (10.0, 10.0)
    assert gap.paper_literal.at_median_radius == gap.paper_literal.at_mean_radius
    assert any("e^{261.9}" in note for note in measured(1024, [10.0]).notes)


@pytest.mark.parametrize("n", [1, 2, 64, 1024, 2**20])
def test_the_gap_to_volume_1_is_the_logarithm_of_the_volume(n: int):
    radii = np.array([1.0, 2.0, 6.0])
    gap = volume_gap(n, radii)
    for at, r in (("at_mean_radius", 3.0), ("at_median_radius", 2.0)):
        wanted = float(exact.log_volume(n, r))
        assert gap["corrected"][at] == pytest.approx(wanted, rel=1e-12, abs=1e-14 * n)
        with mp.workdps(exact.DIGITS):
            literal = n * mp.log(r / mp.sqrt(n / (2 * mp.pi * mp.e)))
        assert gap["paper_literal"][at] == pytest.approx(float(literal), rel=1e-12, abs=1e-14 * n)


def test_a_median_of_0_has_no_gap():
    gap = measured(64, [0.0, 0.0, 3.0]).volume_gap
    assert gap.mean_radius == 1.0
    assert gap.median_radius == 0.0
    assert gap.paper_literal.at_median_radius is None
    assert gap.corrected.at_median_radius is None


@pytest.mark.parametrize(("spread", "log_z"), [(0.25, 236), (0.5, 312), (1.0, 416), (2.0, 552)])
def test_a_spread_of_80_000_radii_rests_on_a_few_balls(spread: float, log_z: float):
    distances = 2 * np.random.default_rng(1).normal(10, spread, 80_000)[:, None]
    answer = measured_partition(1024, distances, np.full((80_000, 1), -1), complete=True)
    assert answer["corrected"]["effective_balls"] < 10
    assert answer["corrected"]["log_partition"] == pytest.approx(log_z, abs=25 * max(spread, 1))
    assert answer["corrected"]["proposition_4_loss"] == pytest.approx(answer["corrected"]["loss"], rel=1e-12)
    assert answer["paper_literal"]["log_partition"] > answer["corrected"]["log_partition"]
    assert answer["volume_gap"]["paper_literal"]["at_mean_radius"] == pytest.approx(261.9, abs=1)


def test_rows_without_a_neighbour_have_no_ball():
    distances, neighbors = np.array([[2.0], [np.inf], [2.0]]), np.array([[2], [-1], [0]])
    answer = measured_partition(3, distances, neighbors, complete=True)
    assert answer == measured_partition(3, np.array([[2.0], [2.0]]), np.array([[1], [0]]), complete=True)
    assert answer["balls"] == 2


@pytest.mark.parametrize("distances", [[np.inf, np.inf], [0.0, 0.0], [1e-151, 1.0], [1e151, 1.0]])
def test_radii_of_no_use_are_refused(distances: list[float]):
    with pytest.raises(InvalidInput) as caught:
        measured_partition(3, np.array(distances)[:, None], np.array([[1], [0]]), complete=True)
    assert caught.value.field == "radii"


def test_a_pair_that_is_each_others_nearest_touches():
    """Gaps 1, 1.5, 2: the first pair is mutual; the third point's nearest is the second, whose own is the first."""
    found = disjoint_balls(1, *neighbors_of(in_a_row([1.0, 1.5, 2.0])), complete=True)
    assert found == DisjointBalls(
        open_balls=True,
        closed_balls=False,
        overlapping_pairs=0,
        touching_pairs=1,
        coinciding_rows=0,
        overlapping_at_mean_radius=0.5,  # NN = 1, 1, 1.5, 2, mean 1.375
    )


def test_rows_that_coincide_are_rows_and_no_touching_pairs():
    found = disjoint_balls(1, *neighbors_of(in_a_row([0.0, 3.0, 0.0, 0.0])), complete=True)
    assert (found.open_balls, found.closed_balls) == (True, False)
    assert (found.coinciding_rows, found.touching_pairs, found.overlapping_pairs) == (5, 0, 0)


@pytest.mark.parametrize(("k", "pairs"), [(1, 3), (2, 4)])
def test_equally_near_neighbours_touch_as_far_as_they_were_asked_for(k: int, pairs: int):
    """The corners of a square, 0.1 wide: at k = 1 the last pair of equal distance is named by none of its rows."""
    square = 0.1 * np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
    found = disjoint_balls(2, *neighbors_of(square, k), complete=True)
    assert found.touching_pairs == pairs
    assert (found.open_balls, found.overlapping_at_mean_radius) == (True, 0.0)


def test_distances_that_are_too_large_are_found_out():
    distances, neighbors = neighbors_of(in_a_row([1.0, 1.5, 2.0]))
    distances[1], neighbors[1] = 1.5, 2  # as if the search had missed the first point
    found = disjoint_balls(1, distances, neighbors, complete=True)
    assert (found.open_balls, found.closed_balls) == (False, False)
    assert (found.overlapping_pairs, found.touching_pairs) == (1, 1)
    missed = np.array([[3.0], [3.0]])  # both rows too far by as much: no pair says so
    unproved = disjoint_balls(1, missed, np.array([[-1], [-1]]), complete=False)
    assert (unproved.open_balls, unproved.closed_balls) == (None, None)


def test_an_overlap_too_small_for_rounding_is_seen_and_rounding_is_not():
    neighbors = np.array([[1], [2], [1]])
    for excess, overlapping in ((1e-13, 1), (2.0**-52, 0)):
        found = disjoint_balls(3, np.array([[1.0], [1 + excess], [1 + excess]]), neighbors, complete=True)
        assert found.overlapping_pairs == overlapping
        assert found.open_balls is (not overlapping)


@examples(100)
@given(seed=st.integers(0, 2**32), m=st.integers(2, 30), n=st.integers(1, 20), k=st.integers(1, 4), grid=st.booleans())
def test_exact_neighbours_of_anything_have_disjoint_open_balls_and_a_touching_pair(
    seed: int, m: int, n: int, k: int, grid: bool
):
    vectors = np.random.default_rng(seed).normal(size=(m, n))
    vectors = np.round(vectors) if grid else vectors
    distances, neighbors = neighbors_of(vectors, min(k, m - 1))
    found = disjoint_balls(n, distances, neighbors, complete=True)
    assert found.open_balls is True
    assert found.closed_balls is False
    assert found.overlapping_pairs == 0
    assert found.touching_pairs + found.coinciding_rows >= 1
    nearest = distances[:, 0]
    assert found.overlapping_at_mean_radius == np.mean(nearest < nearest.mean() * (1 - 1e-12))


def test_notes_say_when_not_every_pair_was_searched():
    notes = [measured(64, [1.0, 2.0], complete).notes for complete in (True, False)]
    assert len(notes[1]) == len(notes[0]) + 1
    assert "not every pair" in notes[1][-1]
    assert math.isclose(measured(64, [1.0, 2.0]).disjoint.overlapping_at_mean_radius, 0.5)
