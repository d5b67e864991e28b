"""Held-out queries against a reference set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import mannwhitneyu

from tests.statistics.sets import nearest_of, normal, uneven_codes
from workers.statistics.coverage import Coverage, coverage
from workers.statistics.documents import Documents
from workers.statistics.estimate import NO_NEIGHBORS, ONE_DOCUMENT, cluster_error
from workers.statistics.lists import NearestOfTwoDocuments
from workers.statistics.mean_and_median import mean_estimate

Array = np.ndarray


def measured(queries: Array, query_codes: Array | None, rows: Array, codes: Array | None = None) -> Coverage:
    distances = cdist(queries, rows)
    reference, documents = nearest_of(rows, codes)
    query_documents = Documents.of(query_codes, len(queries))
    return coverage(distances.min(axis=1), distances.argmin(axis=1), query_documents, reference, documents)


def test_the_rank_is_mann_and_whitneys():
    rows, queries = np.round(normal(0, 150, 2), 1), np.round(normal(1, 100, 2), 1)  # with ties
    found = measured(queries, None, rows)
    nearest, own = cdist(queries, rows).min(axis=1), nearest_of(rows)[0].first
    assert found.rank_auc.value == pytest.approx(mannwhitneyu(nearest, own).statistic / (150 * 100))


def test_the_share_and_its_error_by_documents():
    rows, queries, codes = normal(0, 200, 3), normal(1, 160, 3), uneven_codes(160, 30)
    found = measured(queries, codes, rows)
    distances = cdist(queries, rows)
    within = distances.min(axis=1) <= nearest_of(rows)[0].first[distances.argmin(axis=1)] / 2
    assert found.share.value == pytest.approx(within.mean())
    assert found.share.standard_error == pytest.approx(cluster_error(within.astype(float), Documents.of(codes, 160)))
    assert found.self_mean == mean_estimate(*nearest_of(rows))


def test_queries_like_the_reference_have_a_rank_of_one_half():
    """At equal numbers of rows: a query meets 300 rows, a reference row 299."""
    found = measured(normal(2, 300, 4), None, normal(3, 300, 4))
    low, high = found.rank_auc.interval or (np.nan, np.nan)
    assert low < 0.5 < high


@pytest.mark.parametrize(("shift", "share"), [(100.0, 0.0), (0.0, 1.0)])
def test_where_all_queries_agree_the_interval_is_that_of_the_documents(shift: float, share: float):
    rows = normal(0, 100, 3)
    found = measured(rows[:60] + shift, np.arange(60) // 3, rows)
    furthest = 1 - 0.025 ** (1 / 20)
    assert found.share.value == share
    assert found.share.standard_error is None
    assert found.share.reason
    assert found.share.interval == pytest.approx((0, furthest) if share == 0 else (1 - furthest, 1))


def test_few_within_give_an_interval_within_zero_and_one():
    rows = normal(0, 100, 3)
    found = measured(np.concatenate([rows[:1], rows[:59] + 50]), None, rows)
    low, high = found.share.interval or (np.nan, np.nan)
    assert low == 0
    assert 1 / 60 < high < 0.1


def test_what_cannot_be_given_has_a_reason():
    rows, queries = normal(0, 100, 3), normal(1, 50, 3)
    one = measured(queries, np.zeros(50), rows, np.zeros(100))
    assert {each.reason for each in (one.share, one.rank_auc, one.self_mean)} == {ONE_DOCUMENT}
    reference, documents = nearest_of(rows)
    none = coverage(np.full(5, np.inf), np.full(5, -1), Documents.of(None, 5), reference, documents)
    assert (none.n, none.share.value, none.share.reason, none.rank_auc.reason) == (0, None, NO_NEIGHBORS, NO_NEIGHBORS)
    assert none.self_mean.value is not None


def test_a_single_reference_row_has_no_distance_of_its_own():
    reference = NearestOfTwoDocuments(np.array([np.inf]), np.array([-1]), np.array([np.inf]))
    found = coverage(np.ones(40), np.zeros(40, dtype=int), Documents.of(None, 40), reference, Documents.of(None, 1))
    assert (found.self_mean.value, found.rank_auc.value) == (None, None)
    assert found.rank_auc.reason
    assert found.share.value == 1
