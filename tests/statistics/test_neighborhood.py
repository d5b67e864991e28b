"""Who the nearest neighbours are, against counting by hand and by loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew

from tests.statistics.sets import in_documents, lists_of, normal
from workers.statistics.documents import Documents
from workers.statistics.estimate import NO_NEIGHBORS
from workers.statistics.lists import NeighborLists
from workers.statistics.neighborhood import (
    EQUALLY_OFTEN,
    NO_DOCUMENTS,
    NO_TOKENS,
    ONE_ROW,
    SHORT_LISTS,
    hubness,
    mutual_share,
    near_duplicates,
    neighborhood,
    same_class,
)

LINE = np.array([[0.0], [1.0], [3.0], [3.5], [10.0]])  # neighbours 1, 0, 3, 2, 3


def test_rows_on_a_line():
    found = neighborhood(lists_of(LINE, np.array([0, 0, 0, 1, 1])), np.array([7, 8, 7, 7, 8]))
    assert (found.same_document.share, found.same_document.chance) == (0.6, pytest.approx(8 / 20))
    assert (found.same_last_token.share, found.same_last_token.chance) == (0.4, pytest.approx(8 / 20))
    assert found.mutual == 0.8
    assert (found.near_duplicates.below, found.near_duplicates.rows) == (pytest.approx(1e-3), 0)
    hubs = hubness(lists_of(LINE), 1)
    assert (hubs.max, hubs.never_neighbour_share) == (2, 0.2)
    assert hubs.skewness == pytest.approx(skew([1, 1, 1, 2, 0]), abs=1e-12)


def test_chance_is_what_shuffled_labels_give():
    rows, codes = in_documents(0)
    lists = lists_of(rows, codes, k=1)
    rng = np.random.default_rng(0)
    shares = [same_class(lists, rng.permutation(codes)).share or 0.0 for _ in range(300)]
    found = same_class(lists, codes)
    assert np.mean(shares) == pytest.approx(found.chance, abs=0.003)
    assert (found.share or 0) > 5 * (found.chance or 0)


def test_labels_of_any_kind():
    lists = lists_of(LINE)
    assert same_class(lists, np.array(list("aabba"))) == same_class(lists, np.array([5, 5, -1, -1, 5]))


def test_what_is_not_known_has_a_reason():
    found = neighborhood(lists_of(LINE), None)
    assert (found.same_document.share, found.same_document.chance, found.same_document.reason) == (
        None,
        None,
        NO_DOCUMENTS,
    )
    assert found.same_last_token.reason == NO_TOKENS
    assert (found.hubness.skewness, found.hubness.reason) == (None, SHORT_LISTS)
    assert hubness(lists_of(normal(0, 30, 2), k=9), 10).reason == SHORT_LISTS


def test_no_neighbours():
    lists = NeighborLists(np.full((4, 10), np.inf), np.full((4, 10), -1), Documents.of(np.zeros(4), 4))
    found = neighborhood(lists, np.zeros(4))
    assert (found.same_document.share, found.same_document.reason) == (None, NO_NEIGHBORS)
    assert found.mutual is None
    assert (found.near_duplicates.rows, found.near_duplicates.reason) == (None, NO_NEIGHBORS)
    assert (found.hubness.max, found.hubness.reason) == (None, NO_NEIGHBORS)
    assert same_class(lists_of(LINE[:1], k=1), np.zeros(1)).reason == ONE_ROW


def test_two_copies_are_mutual_whichever_is_named():
    """The first of three copies has the second as its neighbour, the others have the first."""
    assert mutual_share(lists_of(np.array([[0.0], [0.0], [0.0], [5.0]]), k=1)) == 0.75


def test_near_duplicates_are_equal_rows_and_rows_very_near():
    distances = np.array([0.0, 0.0, 5e-4, 2e-3, 1.0, 1.0, 1.0, 1.0, np.inf])
    assert near_duplicates(distances).rows == 3
    assert near_duplicates(np.array([0.0, 0.0, 0.0, 1.0])).rows == 3  # the median is 0


def test_rows_that_are_equally_often_neighbours_have_no_skewness():
    ring = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
    pairs = np.concatenate([ring * 10, ring * 10.5])
    found = hubness(lists_of(pairs, k=1), 1)
    assert (found.skewness, found.max, found.never_neighbour_share, found.reason) == (None, 1, 0, EQUALLY_OFTEN)


def test_hubs_of_all_rows_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch):
    lists = lists_of(normal(0, 200, 8), k=10)
    expected = hubness(lists, 10)
    monkeypatch.setattr("workers.statistics.lists._BLOCK", 70)
    assert hubness(lists, 10) == expected
    assert expected.skewness == pytest.approx(skew(np.bincount(lists.ids.ravel(), minlength=200)), rel=1e-10)
