"""Null models: their moments, their known ratios, and the bias that is divided out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.statistics.sets import nearest_of, normal
from workers.statistics.covariance import Covariance
from workers.statistics.estimate import Estimate
from workers.statistics.mean_and_median import mean_estimate
from workers.statistics.null_distances import NullDistances, NullDraws, NullRows, null_distances
from workers.statistics.null_models import EllipticalRows, GaussianRows, NullModel, PermutedCoordinates, SameTokenRows

Array = np.ndarray


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def heavy_tails() -> Array:
    rows = generator(11).standard_t(3, size=(600, 64))
    return rows - rows.mean(axis=0)


def lognormal_radii() -> Array:
    stream = generator(11)
    return stream.standard_normal((600, 64)) * stream.lognormal(0, 0.5, (600, 1))


def observed(rows: Array) -> Estimate:
    return mean_estimate(*nearest_of(rows))


def distances(model: NullModel, n: int, draws: int = 4) -> NullDistances:
    return null_distances(NullRows(model), None, NullDraws(draws, n, 0, 0))


def plug_in(covariance: Covariance, rows: Array) -> Covariance:
    """The same without shrinkage."""
    values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[-covariance.axes.shape[1] :]
    return replace(covariance, deviations=np.sqrt(values), rest=0.0, shrinkage=0.0)


@pytest.mark.parametrize("shape", [(400, 12), (30, 80)], ids=["tall", "wide"])
def test_the_covariance_is_shrunk_as_ledoit_and_wolf_do(shape: tuple[int, int]):
    """s = b²/δ² of their section 3.3, from its definition."""
    rows = normal(0, *shape) * np.arange(1, shape[1] + 1) + 7
    centred = rows - rows.mean(axis=0)
    sample = centred.T @ centred / len(rows)
    scale = np.trace(sample) / shape[1]
    target = scale * np.eye(shape[1])
    distance = ((sample - target) ** 2).sum()
    noise = sum(((np.outer(x, x) - sample) ** 2).sum() for x in centred) / len(rows) ** 2
    share = min(noise, distance) / distance
    found = Covariance.of(rows)
    assert found.shrinkage == pytest.approx(share, rel=1e-9)
    expected = (1 - share) * sample + share * target
    values = np.sort(np.append(found.deviations, np.full(shape[1] - len(found.deviations), found.rest)) ** 2)
    assert values == pytest.approx(np.linalg.eigvalsh(expected), rel=1e-8)
    radii = np.sqrt(np.einsum("ij,jk,ik->i", centred, np.linalg.inv(expected), centred))
    assert found.radii(rows) == pytest.approx(radii, rel=1e-8)


def test_known_shrinkage_and_distances_of_fewer_rows_than_dimensions():
    rows = normal(13, 200, 1024).astype(np.float32)
    model = GaussianRows.of(rows)
    found = observed(rows.astype(np.float64))
    assert found.value == pytest.approx(43.067, abs=5e-4)
    assert model.covariance.shrinkage == pytest.approx(0.993, abs=5e-4)
    assert distances(model, 200).ratio(found).value == pytest.approx(1.007, abs=0.004)
    plain = replace(model, covariance=plug_in(model.covariance, rows))
    assert distances(plain, 200).ratio(found).value == pytest.approx(1.093, abs=0.006)


def test_known_ratios_of_heavy_tails():
    rows = heavy_tails()
    found, gaussian, elliptical = observed(rows), GaussianRows.of(rows), EllipticalRows.of(rows)
    assert found.value == pytest.approx(13.602, abs=5e-4)
    assert distances(PermutedCoordinates(rows), 600).ratio(found).value == pytest.approx(1.001, abs=0.01)
    plain = plug_in(gaussian.covariance, rows)
    assert distances(replace(gaussian, covariance=plain), 600).ratio(found).value == pytest.approx(0.911, abs=0.008)
    plain_elliptical = EllipticalRows(plain, plain.radii(rows))
    assert distances(plain_elliptical, 600).ratio(found).value == pytest.approx(0.976, abs=0.01)
    assert distances(elliptical, 600).ratio(found).value == pytest.approx(0.98, abs=0.02)


def test_the_elliptical_null_keeps_radii_that_the_others_lose():
    rows = lognormal_radii()
    found = observed(rows)
    assert found.value == pytest.approx(8.461, abs=5e-4)
    ratios = {
        name: distances(model, 600).ratio(found).value
        for name, model in (
            ("elliptical", EllipticalRows.of(rows)),
            ("gaussian", GaussianRows.of(rows)),
            ("permutation", PermutedCoordinates(rows)),
        )
    }
    assert 0.95 < (ratios["elliptical"] or 0) < 1.03
    assert (ratios["gaussian"] or 1) < 0.85
    assert (ratios["permutation"] or 1) < 0.85


@pytest.mark.parametrize("kind", [GaussianRows.of, EllipticalRows.of, PermutedCoordinates], ids=lambda kind: str(kind))
@pytest.mark.parametrize("shape", [(4000, 6), (300, 400)], ids=["tall", "wide"])
def test_draws_have_the_mean_and_the_variances_of_their_model(kind: type, shape: tuple[int, int]):
    rows = normal(3, *shape) * np.linspace(1, 3, shape[1]) + 20
    model = kind(rows)
    draw = model.draw(generator(1)).astype(np.float64)
    assert draw.shape == shape
    assert draw.mean(axis=0) == pytest.approx(rows.mean(axis=0), abs=7 * 3 / np.sqrt(shape[0]))
    assert draw.var(axis=0).sum() == pytest.approx(rows.var(axis=0).sum(), rel=0.05)


def test_classes_of_a_token_keep_their_means_and_lone_rows_are_drawn_from_all():
    tokens = np.append(np.arange(900) % 3, np.arange(100) + 10)
    centres = 10.0 * np.eye(3)
    rows = np.where(tokens < 3, 1, 0)[:, None] * centres[tokens % 3] + normal(0, 1000, 3)
    model = SameTokenRows.of(rows, tokens)
    assert model.alone_share == 0.1
    draw = model.draw(generator(0)).astype(np.float64)
    for token in range(3):
        mine = draw[tokens == token]
        assert mine.mean(axis=0) == pytest.approx(rows[tokens == token].mean(axis=0), abs=0.3)
        assert mine.var(axis=0) == pytest.approx(np.ones(3), abs=0.25)
    assert draw[900:].var(axis=0).mean() > 10
    of_classes = SameTokenRows.of(rows[:900], tokens[:900])
    assert distances(of_classes, 900).unbiased_ratio(observed(rows[:900])).value == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bias_of_few_rows_is_measured(seed: int):
    """200 rows of 64 dimensions: without shrinkage data of the null's own kind would be 3.5 % farther."""
    rows = normal(20 + seed, 200, 64) * np.linspace(1, 4, 64)
    found = distances(GaussianRows.of(rows), 200)
    ratio = found.unbiased_ratio(observed(rows))
    low, high = ratio.interval or (1, 1)
    assert found.bias != 1
    assert low < 1 < high


def test_rows_of_a_document_are_not_compared_in_a_null_either():
    rows, codes = np.repeat(normal(0, 60, 4), 3, axis=0), np.repeat(np.arange(60), 3)
    model = PermutedCoordinates(rows)
    draws = NullDraws(2, 180, 0, 0)
    of_all = null_distances(NullRows(model), None, draws).mean
    of_others = null_distances(NullRows(model, codes), None, draws).mean
    assert of_others > of_all


def test_the_rows_that_are_asked_are_not_all_first_positions():
    """The rows of one token in 32 are far apart, in a place of their own; every 32nd row would be one of them."""
    tokens = (np.arange(3200) % 32 > 0).astype(np.int64)
    rows = normal(0, 3200, 2) + np.where(tokens, 0.0, 100.0)[:, None]
    model = SameTokenRows.of(rows, tokens)
    asked, whole = (null_distances(NullRows(model), None, NullDraws(4, most, 0, 0)).mean for most in (100, 3200))
    assert asked == pytest.approx(whole, rel=0.25)


def test_the_interval_holds_both_errors():
    found = NullDistances(np.ones(4), np.asarray([1.0, 1.1, 0.9, 1.0]), np.asarray([1.0, 1.1, 0.9, 1.0]))
    data = Estimate.of(2.0, 0.1, 40)
    narrow = found.ratio(Estimate.of(2.0, 1e-9, 40)).interval or (0, 0)
    wide = found.ratio(data).interval or (0, 0)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert found.ratio(Estimate.alone(2.0, "of a test")).reason == "of a test"
    assert found.ratio(Estimate.missing("none")).value is None


def test_queries_of_another_set_have_a_null_of_their_own():
    rows, queries = normal(0, 600, 6) * np.arange(1, 7), normal(1, 200, 6) + 3
    found = null_distances(NullRows(GaussianRows.of(rows)), NullRows(GaussianRows.of(queries)), NullDraws(4, 200, 0, 0))
    apart = cdist(queries, rows).min(axis=1)
    assert len(found.distances) == 4 * 200
    assert found.mean == pytest.approx(apart.mean(), rel=0.1)  # the shrunk covariance is rounder than the rows
    data = Estimate.of(float(apart.mean()), float(apart.std()) / 200**0.5, 200)
    low, high = found.unbiased_ratio(data).interval or (0, 0)
    assert low < 1 < high
