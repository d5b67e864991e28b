"""Known sets: numbers checked against DADApy 0.3 and scikit-dimension, to the digits in which they were noted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.statistics.sets import lists_of, nearest_of, normal
from workers.statistics.centring import blocks_of
from workers.statistics.coverage import coverage
from workers.statistics.documents import Documents
from workers.statistics.intrinsic_dimension import intrinsic_dimension
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.mean_and_median import nn_uncertainty, quantile_estimate, split_error
from workers.statistics.neighborhood import hubness
from workers.statistics.scale import scale

ROWS = normal(0, 500, 5)
CODES = np.arange(500) // 10
LISTS = lists_of(ROWS, CODES)


def test_mean_and_median():
    found = nn_uncertainty(*nearest_of(ROWS, CODES))
    assert found.mean.value == pytest.approx(0.7952552591, abs=5e-11)
    assert found.median.value == pytest.approx(0.7441132133, abs=5e-11)
    assert (found.rows, found.documents) == (500, 50)


def test_errors_by_documents_and_by_rows():
    nearest, documents = nearest_of(ROWS, CODES)
    found = nn_uncertainty(nearest, documents)
    assert found.mean.standard_error == pytest.approx(0.0151547, abs=5e-8)
    assert found.row_standard_error == pytest.approx(0.0126733, abs=5e-8)
    assert split_error(nearest.first, documents) == pytest.approx(0.0114393, abs=5e-8)


def test_lists_of_64_are_long_enough_for_the_jackknife():
    nearest, short = NearestOfTwoDocuments.from_lists(LISTS)
    expected, _ = nearest_of(ROWS, CODES)
    assert len(short) == 0
    assert (nearest.first == expected.first).all()
    assert (nearest.document == expected.document).all()
    assert (nearest.second == expected.second).all()


def test_mean_without_neighbours_in_the_same_document():
    nearest, documents = nearest_of(ROWS, CODES, exclude=True)
    assert nn_uncertainty(nearest, documents).mean.value == pytest.approx(0.7981454, abs=5e-8)


@pytest.mark.parametrize(("n", "mean"), [(125, 1.0700180), (250, 0.9051990), (500, 0.7952553)])
def test_prefixes(n: int, mean: float):
    assert nn_uncertainty(*nearest_of(ROWS[:n], CODES[:n])).mean.value == pytest.approx(mean, abs=5e-8)


def test_two_nn():
    found = intrinsic_dimension(LISTS).two_nn
    assert found.estimate.value == pytest.approx(4.5100082548, abs=5e-11)
    assert found.regression == pytest.approx(4.4418606269, abs=5e-11)
    assert found.row_standard_error == pytest.approx(4.5100082548 / np.sqrt(500), rel=1e-10)


def test_maximum_likelihood():
    found = [each.estimate.value for each in intrinsic_dimension(LISTS).mle]
    assert found == pytest.approx([4.9980366781, 4.9025194022], abs=5e-11)


def test_gride():
    found = {each.k: each.estimate.value for each in intrinsic_dimension(LISTS).gride}
    assert list(found) == [1, 2, 4, 8, 16, 32]
    assert list(found.values())[:5] == pytest.approx([4.510, 5.334, 5.120, 4.844, 4.680], abs=5e-4)


def test_twenty_dimensions():
    found = intrinsic_dimension(lists_of(normal(1, 1000, 20), k=20))
    assert found.two_nn.estimate.value == pytest.approx(16.365928, abs=5e-7)
    assert [each.estimate.value for each in found.mle] == pytest.approx([15.414919, 14.588034], abs=5e-7)


def test_hubs():
    one, ten = hubness(LISTS, 1), hubness(LISTS, 10)
    assert (one.max, one.never_neighbour_share) == (5, 0.328)
    assert one.skewness == pytest.approx(0.939425, abs=5e-7)
    assert (ten.max, ten.never_neighbour_share) == (23, 0.002)
    assert ten.skewness == pytest.approx(0.029207, abs=5e-7)


def test_scale_free_units():
    found = scale(blocks_of(ROWS), float(LISTS.distances[:, 0].mean()))
    assert found.participation_ratio == pytest.approx(4.921679, abs=5e-7)
    assert found.nn_over_sqrt_2_total_variance == pytest.approx(0.25256895, abs=5e-9)


def test_held_out_rows():
    reference, documents = nearest_of(ROWS[:300], CODES[:300])
    distances = cdist(ROWS[300:], ROWS[:300])
    nearest = distances.min(axis=1)
    found = coverage(nearest, distances.argmin(axis=1), Documents.of(CODES[300:], 200), reference, documents)
    assert nearest.mean() == pytest.approx(0.8904795, abs=5e-8)
    assert found.self_mean.value == pytest.approx(0.87188752, abs=5e-9)
    assert found.share.value == pytest.approx(0.045, abs=1e-12)
    assert found.n == 200


def test_the_median_is_a_quantile():
    nearest, documents = nearest_of(ROWS, CODES)
    assert quantile_estimate(nearest, documents, 0.5) == nn_uncertainty(nearest, documents).median
