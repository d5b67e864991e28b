"""E_global and the storage certificate."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.theory.energy_global import (
    GlobalEnergy,
    energy_global,
    global_bounds,
    printed_energy_global,
    printed_log_layer_energy,
)
from service.theory.retrieval import retrieve
from service.theory.storage import certified_radii
from tests.examples import examples
from tests.theory import exact_energy as exact

Array = np.ndarray


def test_it_is_the_soft_minimum_of_the_layers():
    energies = np.random.default_rng(0).uniform(-50, 500, size=(6, 40))
    found = energy_global(energies)
    true = [float(exact.energy_global(column.tolist())) for column in energies.T]
    np.testing.assert_allclose(found.energy, true, rtol=1e-14)
    assert (found.energy <= found.least).all()
    assert (found.gap >= 0).all()
    assert (found.gap <= math.log(6)).all()
    assert global_bounds(found, 6)["failed_share"] == 0


def test_one_layer_equal_layers_and_layers_at_infinity():
    assert energy_global(np.array([[3.0]])).energy[0] == 3.0
    assert energy_global(np.full((4, 1), 2.0)).energy[0] == pytest.approx(2 - math.log(4))
    found = energy_global(np.array([[np.inf, 1.0], [5.0, np.inf]]))
    assert found.energy.tolist() == [5.0, 1.0]
    assert found.layer.tolist() == [1, 0]


def test_the_printed_layer_energy_stays_a_logarithm():
    logs = printed_log_layer_energy(np.array([400.0, 0.0]), -60_000)  # Z_t = e^−60000
    assert logs.tolist() == [59_600.0, 60_000.0]
    assert np.isinf(printed_energy_global(np.stack([logs, logs]))).all()
    small = printed_energy_global(np.stack([printed_log_layer_energy(np.array([400.0]), 169.4)] * 3))
    assert small[0] == pytest.approx(-math.log(3))  # every E_t is 0: the layers cannot be told apart


PRINTED = {20.0: (9.551, 9.435, 9.399), 15.49: (7.181, 7.033, 6.985), 5.0: (0.98, 0.52, 0.37)}


@pytest.mark.parametrize(("distance", "radii"), PRINTED.items())
def test_certified_radii_of_the_papers_sizes(distance: float, radii: tuple[float, ...]):
    for patterns, radius in zip((80_000, 8_013_769, 35_156_250), radii, strict=True):
        found = certified_radii(np.array([distance]), patterns)[0]
        assert found == pytest.approx(radius, abs=5e-3 if radius < 1 else 5e-4)
        assert found < distance / 2


def test_nothing_is_certified_for_close_patterns():
    assert certified_radii(np.array([0.0, 1.0, math.sqrt(2)]), 100).tolist() == [0, 0, 0]
    assert np.isinf(certified_radii(np.array([np.inf]), 1)).all()


def test_every_start_in_a_certified_ball_ends_at_one_point_in_it():
    rng = np.random.default_rng(1)
    tried = 0
    for _ in range(40):
        n, d = rng.integers(2, 12), rng.integers(2, 30)
        patterns = 10 ** rng.uniform(0.3, 1) * rng.normal(size=(d, n))
        gaps = np.linalg.norm(patterns[:, None] - patterns[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        radii = certified_radii(gaps.min(axis=1), int(d))
        for at in np.flatnonzero(radii > 0)[:5]:
            directions = rng.normal(size=(8, n))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            starts = patterns[at] + radii[at] * directions * rng.uniform(0, 1, size=(8, 1)) ** (1 / n)
            ends = retrieve(patterns, np.concatenate([patterns[at : at + 1], starts])).points
            assert np.linalg.norm(ends - ends[0], axis=1).max() < 1e-9
            assert np.linalg.norm(ends[0] - patterns[at]) < radii[at]
            tried += 1
    assert tried > 60


@given(seed=st.integers(0, 2**32), layers=st.integers(1, 48), scale=st.floats(-6, 6))
@examples(80)
def test_it_lies_between_its_bounds(seed: int, layers: int, scale: float):
    energies = np.random.default_rng(seed).normal(size=(layers, 5)) * 10**scale
    found = energy_global(energies)
    for at, column in enumerate(energies.T):
        true = float(exact.energy_global(column.tolist()))
        assert found.energy[at] == pytest.approx(true, rel=1e-14, abs=1e-14 * max(1, abs(column.min())))
    rounding = 1e-14
    assert (found.energy <= found.least).all()
    assert (found.energy >= found.least - math.log(layers) - rounding * (1 + np.abs(found.least))).all()
    assert (found.gap >= -rounding).all()
    assert (found.gap <= math.log(layers)).all()
    np.testing.assert_array_equal(found.least, energies.min(axis=0))
    np.testing.assert_array_equal(found.layer, energies.argmin(axis=0))
    size = rounding * (10 + np.abs(found.least))
    assert (np.abs(found.energy - found.least + math.log(layers) - found.gap) <= size).all()
    assert global_bounds(found, layers)["failed_share"] == 0


def test_the_upper_bound_is_strict_for_two_layers_or_more():
    assert (energy_global(np.array([[3.0, -1e5]])).gap == 0).all()
    energies = np.random.default_rng(1).uniform(0, 30, size=(4, 50))
    found = energy_global(energies)
    assert (found.energy < found.least).all()
    assert (found.gap < math.log(4)).all()


@pytest.mark.parametrize("layers", [1, 2, 3, 7, 48])
def test_the_gap_is_0_for_equal_layers_and_log_l_for_one_far_below(layers: int):
    equal, alone = np.full((layers, 1), -250.0), np.full((layers, 1), 1e6)
    alone[-1] = -5.0
    assert energy_global(equal).gap[0] == pytest.approx(0, abs=1e-15)
    found = energy_global(alone)
    assert found.energy.tolist() == [-5.0]
    assert found.gap.tolist() == [np.log(layers)]
    assert found.layer.tolist() == [layers - 1]


def test_layers_at_infinity_count_only_in_l():
    energies = np.random.default_rng(2).uniform(0, 5, size=(3, 20))
    found, more = energy_global(energies), energy_global(np.concatenate([energies, np.full((2, 20), np.inf)]))
    np.testing.assert_allclose(more.energy, found.energy, rtol=1e-15)
    np.testing.assert_allclose(more.gap, found.gap + math.log(5 / 3), rtol=1e-13)


def test_a_gap_outside_its_bounds_is_counted():
    point = np.zeros(4)
    found = GlobalEnergy(point, point, point.astype(int), np.array([-1e-9, 0.0, math.log(3), math.log(3) + 1e-9]))
    shown = global_bounds(found, 3)
    assert shown["failed_share"] == 0.5
    assert (shown["gap_min"], shown["gap_max"]) == (-1e-9, math.log(3) + 1e-9)
    assert shown["log_layers"] == math.log(3)


def test_the_printed_form_where_g_and_log_z_nearly_cancel():
    nearest_sq = np.array([[59_999.0, 60_001.0, 61_500.0, 10.0], [60_003.5, 60_000.0, 59_998.0, 61_000.0]])
    logs = printed_log_layer_energy(nearest_sq, -60_000)
    assert logs.tolist() == (60_000 - nearest_sq).tolist()
    with mp.workdps(exact.DIGITS):
        true = [float(-mp.log(mp.fsum(mp.exp(-mp.exp(mp.mpf(float(log)))) for log in column))) for column in logs.T]
    np.testing.assert_allclose(printed_energy_global(logs), true, rtol=1e-14)
    assert printed_energy_global(np.array([[1e5, -1e5], [1e5, 1e5]])).tolist() == [np.inf, 0.0]
