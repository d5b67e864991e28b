"""Means and quantiles: what cannot be given, rows without a neighbour, lists that are too short."""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistics.sets import in_documents, lists_of, nearest_of, normal
from workers.statistics.documents import Documents
from workers.statistics.estimate import (
    ALL_EQUAL,
    EMPTY_REPLICATE,
    NO_NEIGHBORS,
    ONE_DOCUMENT,
    TOO_FEW_ROWS,
    Estimate,
    cluster_error,
    cluster_estimate,
    jackknife_error,
)
from workers.statistics.lists import NearestOfTwoDocuments, NeighborLists
from workers.statistics.mean_and_median import (
    nn_uncertainty,
    paired_difference,
    quantile_estimate,
    uncertainty_of_queries,
)

Array = np.ndarray


def unknown(found: Estimate) -> tuple[None, None, str | None]:
    assert found.standard_error is None
    assert found.interval is None
    return None, None, found.reason


@pytest.mark.parametrize(
    ("rows", "codes", "reason"),
    [
        (normal(0, 50, 3), np.zeros(50), ONE_DOCUMENT),
        (normal(0, 29, 3), np.arange(29), TOO_FEW_ROWS),
        (np.ones((50, 3)), np.arange(50) // 5, ALL_EQUAL),
        (np.eye(50), np.arange(50) // 5, ALL_EQUAL),
    ],
    ids=["one document", "29 rows", "equal rows", "equal distances"],
)
def test_a_value_without_an_error_has_a_reason(rows: Array, codes: Array, reason: str):
    found = nn_uncertainty(*nearest_of(rows, codes))
    assert found.mean.value is not None
    assert found.median.value is not None
    assert unknown(found.mean) == unknown(found.median) == (None, None, reason)


@pytest.mark.parametrize("n", [0, 1, 40])
def test_no_neighbour_at_all_gives_no_value(n: int):
    nothing = NearestOfTwoDocuments(np.full(n, np.inf), np.full(n, -1), np.full(n, np.inf))
    found = nn_uncertainty(nothing, Documents.of(None, n))
    assert (found.mean.value, found.mean.reason) == (found.median.value, found.median.reason) == (None, NO_NEIGHBORS)
    assert (found.row_standard_error, found.rows, found.documents) == (None, 0, 0)


def test_two_documents_that_exclude_themselves_leave_nothing():
    found = nn_uncertainty(*nearest_of(normal(0, 60, 3), np.arange(60) % 2, exclude=True))
    assert found.mean.value is not None
    assert unknown(found.mean) == unknown(found.median) == (None, None, EMPTY_REPLICATE)


def test_rows_without_a_neighbour_are_left_out():
    rows, codes = in_documents(0)
    nearest, documents = nearest_of(rows, codes)
    longer = NearestOfTwoDocuments(*(np.append(values, fill) for values, fill in (
        (nearest.first, [np.inf] * 3), (nearest.document, [-1] * 3), (nearest.second, [np.inf] * 3)
    )))  # fmt: skip
    more = Documents(np.append(documents.codes, [0, documents.count, documents.count]), documents.count + 1)
    assert nn_uncertainty(longer, more) == nn_uncertainty(nearest, documents)


def test_rows_without_documents_are_documents():
    rows = normal(0, 80, 3)
    documents = Documents.of(None, 80)
    assert (documents.count, documents.known) == (80, False)
    assert nn_uncertainty(*nearest_of(rows)) == nn_uncertainty(*nearest_of(rows, np.arange(80)[::-1]))


def test_labels_of_any_kind_are_documents():
    labels = np.array(["b", "a", "b", "c"])
    assert Documents.of(labels, 4).codes.tolist() == [1, 0, 1, 2]
    assert Documents.of(np.array([10**12, -3, 10**12, 7]), 4).codes.tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_errors_of_distances_whose_squares_leave_a_double(unit: float):
    nearest, documents = nearest_of(*in_documents(1))
    scaled = NearestOfTwoDocuments(nearest.first * unit, nearest.document, nearest.second * unit)
    found, expected = nn_uncertainty(scaled, documents).mean, nn_uncertainty(nearest, documents).mean
    assert found.standard_error == pytest.approx((expected.standard_error or 0) * unit, rel=1e-10)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_short_lists_are_completed_by_another_search(k: int):
    rows, codes = in_documents(2)
    rows = np.concatenate([rows, rows[:5] + 1e-9])
    codes = np.concatenate([codes, codes[:5]])
    expected, documents = nearest_of(rows, codes)
    found, short = NearestOfTwoDocuments.from_lists(lists_of(rows, codes, k))
    assert 0 < len(short) <= len(rows)
    assert len(short) == len(rows) or k > 1
    assert np.isinf(found.second[short]).all()
    completed = found.with_second(short, expected.second[short])
    assert (completed.second == expected.second).all()
    assert nn_uncertainty(completed, documents) == nn_uncertainty(expected, documents)


def test_a_list_with_all_rows_there_are_is_not_short():
    found, short = NearestOfTwoDocuments.from_lists(lists_of(normal(0, 40, 3), np.zeros(40), k=64))
    assert len(short) == 0
    assert np.isinf(found.second).all()


def test_lists_of_an_answer_are_in_positions():
    rows = np.array([7, 2, 9])
    ids = np.array([[9, 2], [7, -1], [7, 2]])
    found = NeighborLists.of_answer(rows, np.zeros((3, 2)), ids, Documents.of(np.array([5, 6, 5]), 3))
    assert found.ids.tolist() == [[2, 1], [0, -1], [0, 1]]
    assert found.codes(0, 3).tolist() == [[0, 1], [0, -1], [0, 1]]


@pytest.mark.parametrize("p", [0.0, 0.01, 0.99, 1.0])
def test_quantiles_at_the_ends_have_intervals_within_the_values(p: float):
    nearest, documents = nearest_of(*in_documents(3))
    found = quantile_estimate(nearest, documents, p)
    assert found.value == pytest.approx(np.quantile(nearest.first, p))
    if found.interval is None:  # all rows are at the largest distance or nearer, whatever document is removed
        assert (p, found.reason) == (1.0, ALL_EQUAL)
    else:
        assert nearest.first.min() <= found.interval[0] <= found.interval[1] <= nearest.first.max()


def test_a_set_does_not_differ_from_itself():
    nearest, documents = nearest_of(*in_documents(4))
    found = paired_difference(nearest, np.arange(300), nearest, np.arange(300), documents)
    assert (found.value, found.standard_error) == (0, 0)


def test_the_cluster_error_of_single_rows_is_that_of_independent_rows():
    values = normal(0, 100)
    expected = values.std(ddof=1) / 10
    assert cluster_error(values, Documents.of(None, 100)) == pytest.approx(expected)
    assert cluster_estimate(values, Documents.of(None, 100)).standard_error == pytest.approx(expected)
    twice = np.repeat(values, 2)
    assert cluster_error(twice, Documents.of(np.arange(200) // 2, 200)) == pytest.approx(expected)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = normal(1, 40)
    replicates = (values.sum() - values) / 39
    assert jackknife_error(replicates) == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_queries_among_a_reference_have_the_error_of_their_documents():
    codes = np.arange(200) // 5
    distances = np.repeat(np.abs(normal(0, 40)), 5) + 0.1 * np.abs(normal(1, 200)) + 1
    found = uncertainty_of_queries(np.append(distances, np.inf), Documents.of(np.append(codes, 40), 201))
    assert found.mean.value == pytest.approx(distances.mean())
    assert found.mean.standard_error == pytest.approx(cluster_error(distances, Documents.of(codes, 200)))
    assert (found.rows, found.documents) == (200, 40)
    low, high = found.median.interval or (0, 0)
    assert low < np.median(distances) < high
    assert set(found.median.interval or ()) <= set(distances)
    assert found.row_standard_error == pytest.approx(distances.std(ddof=1) / np.sqrt(200))
    assert uncertainty_of_queries(np.full(3, np.inf), Documents.of(None, 3)).mean.reason == NO_NEIGHBORS
