"""Histograms: numpy's on ordinary values; on degenerate ones, edges that increase and hold every value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.theory.histograms import (
    gap_edges,
    histogram_counts,
    histogram_density,
    histogram_edges,
    tailed_edges,
    wide_last_bin,
)

LARGEST = float(np.finfo(np.float64).max)
POLYGON = np.stack([np.cos(2 * np.pi * np.arange(100) / 100), np.sin(2 * np.pi * np.arange(100) / 100)], 1)
SIDES = np.linalg.norm(POLYGON - np.roll(POLYGON, 1, axis=0), axis=1)

DEGENERATE = {
    "nothing": [],
    "zero": [0.0],
    "one value": [2.5],
    "negative": [-3.0, -3.0],
    "1e17": [1e17] * 5,
    "neighbouring numbers": [1.0, float(np.nextafter(1, 2))],
    "neighbouring numbers below a power of two": [float(np.nextafter(2, 1)), 2.0],
    "sides of a polygon": SIDES.tolist(),
    "tiny": [1e-300, 1e-300],
    "subnormal": [0.0, 5e-324],
    "one subnormal": [5e-324],
    "huge": [1e300, 1e300],
    "largest": [LARGEST],
    "the two largest": [float(np.nextafter(LARGEST, 0)), LARGEST],
    "the two least": [-LARGEST, float(np.nextafter(-LARGEST, 0))],
    "negative largest": [-LARGEST],
    "both ends": [-LARGEST, LARGEST],
    "a subnormal and a huge one": [-2.225073858507203e-309, 8.98846567431158e307],
    "neighbouring subnormals": [2.225073858507203e-309, 2.22507385850717e-309],
    "around zero": [-5e-324, 5e-324],
    "two values far apart": [1e-300, 1e300],
}


def check(samples: list[np.ndarray], bins: int) -> np.ndarray:
    edges = histogram_edges(samples, bins)
    values = np.concatenate(samples)
    assert edges.shape == (bins + 1,)
    assert np.isfinite(edges).all()
    assert (edges[1:] > edges[:-1]).all()
    assert all(sum(histogram_counts(sample, edges)) == len(sample) for sample in samples)
    assert not (values >= 0).all() or edges[0] >= 0
    return edges


@pytest.mark.parametrize("bins", [1, 2, 7, 11, 60, 10_000])
@pytest.mark.parametrize("values", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_values_have_increasing_edges(values: list[float], bins: int):
    check([np.asarray(values)], bins)


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8), min_size=1, max_size=4),
    st.integers(1, 200),
)
def test_any_values_have_increasing_edges(samples: list[list[float]], bins: int):
    check([np.asarray(sample, dtype=np.float64) for sample in samples], bins)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 300), st.integers(1, 200))
def test_values_a_few_numbers_apart_have_increasing_edges(value: float, steps: int, bins: int):
    other = value
    for _ in range(steps):
        other = float(np.nextafter(other, 0))
    edges = check([np.asarray([value, other])], bins)
    assert edges[0] <= min(value, other) <= max(value, other) <= edges[-1]


@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.integers(1, 200))
def test_ordinary_values_have_numpys_edges_and_counts(seed: int, n: int, bins: int):
    values = np.random.default_rng(seed).normal(size=n)
    counts, expected = np.histogram(values, bins)
    edges = histogram_edges([values], bins)
    assert edges.tolist() == expected.tolist()
    assert histogram_counts(values, edges) == counts.tolist()


def test_samples_share_the_edges_of_all_their_values():
    samples = [np.asarray([1.0, 2.0, np.inf]), np.asarray([0.5, 3.0]), np.empty(0)]
    edges = histogram_edges(samples, 10)
    assert edges.tolist() == np.linspace(0.5, 3.0, 11).tolist()
    assert [sum(histogram_counts(sample, edges)) for sample in samples] == [2, 2, 0]


def test_the_density_integrates_to_one_and_is_finite():
    edges = histogram_edges([np.asarray([0.0, 1.0, 4.0])], 8)
    density = histogram_density(np.asarray(histogram_counts(np.asarray([0.0, 1.0, 4.0]), edges)), edges)
    assert (density * np.diff(edges)).sum() == pytest.approx(1)
    assert histogram_density([3, 1], [0.0, 2.0, 10.0], unit=2.0, total=8).tolist() == [0.375, 0.03125]
    narrow = histogram_edges([np.asarray([5e-324])], 60)
    assert np.isfinite(histogram_density(np.ones(60), narrow)).all()


def test_the_gap_of_energies_has_bins_also_for_one_pattern():
    assert gap_edges(3.0, 3).tolist() == [-3.0, -2.0, -1.0, 0.0]
    assert gap_edges(0.0, 2).tolist() == [-1.0, -0.5, 0.0]


def test_one_value_lies_in_the_middle():
    assert histogram_edges([np.asarray([2.0, 2.0])], 2).tolist() == [0.0, 2.0, 4.0]
    assert histogram_edges([np.asarray([-2.0])], 2).tolist() == [-4.0, -2.0, 0.0]
    assert histogram_edges([np.zeros(3)], 2).tolist() == [0.0, 0.5, 1.0]


def test_values_far_off_have_one_wide_bin_and_the_others_equal_ones():
    near = np.random.default_rng(0).gamma(16, 1, 970)
    far = np.concatenate([near, 300 * near[:30]])
    edges = tailed_edges([far[:500], far], 60)
    counts = histogram_counts(far, edges)
    assert wide_last_bin(edges.tolist())
    assert (sum(counts), counts[-1], len(counts)) == (1000, 30, 60)
    assert np.diff(edges)[:-1] == pytest.approx(np.diff(edges)[0])
    assert (edges[0], edges[-1]) == (far.min(), far.max())
    assert edges[-2] < 3 * near.max()


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).gamma(16, 1, 1000),
        np.random.default_rng(2).lognormal(0, 0.3, 1000),
        np.zeros(9),
        np.array([0.0, 0.0, 3.0]),
        np.full(9, 3.0),
        np.array([3.0, np.inf]),
        np.empty(0),
        5e-324 * np.arange(9),
        1e300 * np.arange(9),
    ],
)
def test_other_values_have_equal_bins(values: np.ndarray):
    edges = tailed_edges([values], 60)
    assert np.array_equal(edges, histogram_edges([values], 60))
    assert not wide_last_bin(edges.tolist())
