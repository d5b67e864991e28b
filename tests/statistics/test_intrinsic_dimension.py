"""Spheres of known dimension, and lists that are too short, all equal or of one document."""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistics.sets import in_documents, lists_of, normal
from workers.statistics.dimension_lists import (
    ALL_DUPLICATES,
    SHORT_LISTS,
    SHORT_WITHOUT_DOCUMENT,
    DimensionLists,
    sums_without,
)
from workers.statistics.documents import Documents
from workers.statistics.estimate import ALL_EQUAL, NO_NEIGHBORS, ONE_DOCUMENT, TOO_FEW_ROWS, Estimate
from workers.statistics.gride import gride
from workers.statistics.intrinsic_dimension import IntrinsicDimension, intrinsic_dimension
from workers.statistics.lists import NeighborLists
from workers.statistics.two_nn import two_nn

Array = np.ndarray


def sphere_in_documents(m: int, seed: int) -> tuple[Array, Array]:
    """1,200 rows on a sphere of dimension m in 64 dimensions, in 150 documents that are caps of it."""
    centres, codes = normal(seed, 150, m + 1), np.repeat(np.arange(150), 8)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rows = centres[codes] + 1.0 / np.sqrt(m) * normal(seed + 1, 1200, m + 1)
    rotation = np.linalg.qr(normal(seed + 2, 64, m + 1))[0]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ rotation.T, codes


@pytest.mark.parametrize(("m", "bias"), [(2, 0.08), (5, 0.12), (10, 0.2)])
def test_the_dimension_of_a_sphere_is_found(m: int, bias: float):
    """Within the bias that the estimators have at this number of rows, which grows with the dimension."""
    found = intrinsic_dimension(lists_of(*sphere_in_documents(m, m)))
    estimates = [found.two_nn.estimate, *(each.estimate for each in (*found.mle, *found.gride[:5]))]
    for estimate in estimates:
        assert estimate.value is not None
        assert estimate.standard_error is not None
        assert abs(estimate.value - m) < bias * m + 2.5 * estimate.standard_error
    scales = [each.scale or 0.0 for each in found.gride]
    assert scales == sorted(scales)


def test_the_unit_does_not_matter():
    rows, codes = in_documents(0)
    small, large = (intrinsic_dimension(lists_of(rows * unit, codes)) for unit in (1e-3, 1e3))
    assert small.two_nn.estimate.value == pytest.approx(large.two_nn.estimate.value, rel=1e-10)
    assert [e.estimate.standard_error for e in small.gride[:3]] == pytest.approx(
        [e.estimate.standard_error for e in large.gride[:3]], rel=1e-8
    )


def every_estimate(found: IntrinsicDimension) -> list[Estimate]:
    return [found.two_nn.estimate, *(each.estimate for each in (*found.mle, *found.gride))]


def test_short_lists_give_fewer_estimates():
    lists = lists_of(normal(0, 100, 3), k=9)
    found = intrinsic_dimension(lists)
    assert ([each.k for each in found.mle], [each.k for each in found.gride]) == ([], [1, 2, 4])
    one = intrinsic_dimension(NeighborLists(lists.distances[:, :1], lists.ids[:, :1], lists.documents))
    assert (one.mle, one.gride) == ((), ())
    assert one.two_nn.estimate.value is None
    assert one.two_nn.estimate.reason


def test_rows_all_equal_have_no_dimension():
    found = intrinsic_dimension(lists_of(np.ones((50, 3))))
    assert found.duplicates_left_out == 50
    assert all((each.value, each.reason) == (None, ALL_DUPLICATES) for each in every_estimate(found))


def test_equal_distances_have_no_dimension():
    found = intrinsic_dimension(lists_of(np.eye(70)))
    assert all((each.value, each.reason) == (None, ALL_EQUAL) for each in every_estimate(found))
    assert found.two_nn.regression is None


@pytest.mark.parametrize(("n", "documents", "reason"), [(100, 1, ONE_DOCUMENT), (29, 29, TOO_FEW_ROWS)])
def test_no_error_of_few_rows_or_of_one_document(n: int, documents: int, reason: str):
    found = intrinsic_dimension(lists_of(normal(0, n, 3), np.arange(n) % documents, k=28))
    for each in every_estimate(found):
        assert each.value is not None
        assert (each.standard_error, each.interval, each.reason) == (None, None, reason)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_rows_have_no_dimension(n: int):
    found = intrinsic_dimension(lists_of(normal(0, n, 3)))
    assert all(each.value is None and each.reason for each in every_estimate(found))


def test_no_row_has_a_neighbour():
    lists = NeighborLists(np.full((40, 20), np.inf), np.full((40, 20), -1), Documents.of(None, 40))
    for each in every_estimate(intrinsic_dimension(lists)):
        assert (each.value, each.reason) == (None, SHORT_LISTS)
    nothing = NeighborLists(np.empty((0, 20)), np.empty((0, 20), dtype=np.int64), Documents.of(None, 0))
    assert {each.reason for each in every_estimate(intrinsic_dimension(nothing))} == {NO_NEIGHBORS}


def test_few_rows_with_short_lists_are_left_out_and_many_are_not():
    """Duplicates shorten lists: rows near the copied one lose all of its copies as neighbours."""
    copies = np.repeat([[9.0, 0.0, 0.0]], 30, axis=0)
    around = copies[0] + 0.3 * np.concatenate([np.eye(3), -np.eye(3)])
    found, refused = (
        two_nn(DimensionLists.of(lists_of(np.concatenate([normal(0, 400, 3), copies, around[:near]]), k=20)))
        for near in (2, 6)
    )
    assert found.n == 400
    assert found.estimate.value is not None
    assert (refused.n, refused.estimate.value, refused.estimate.reason) == (0, None, SHORT_LISTS)


def test_lists_too_short_without_a_document_give_a_value_and_no_error():
    rows, codes = in_documents(1)
    lists = DimensionLists.of(lists_of(rows, codes, k=8))
    found = gride(lists, 4)
    assert found.estimate.value == pytest.approx(gride(DimensionLists.of(lists_of(rows, codes)), 4).estimate.value)
    assert (found.estimate.standard_error, found.estimate.reason) == (None, SHORT_WITHOUT_DOCUMENT)


def test_blocks_of_rows_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    rows, codes = in_documents(2)
    expected = intrinsic_dimension(lists_of(rows, codes))
    monkeypatch.setattr("workers.statistics.lists._BLOCK", 1000)
    found = intrinsic_dimension(lists_of(rows, codes))
    for one, other in zip(every_estimate(found), every_estimate(expected), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert (one.standard_error or 0) == pytest.approx(other.standard_error or 0, rel=1e-9)


def test_a_document_without_rows_changes_nothing():
    """The codes of a subset are those of the whole."""
    rows, codes = in_documents(3)
    lists = lists_of(rows, codes)
    more = NeighborLists(lists.distances, lists.ids, Documents(2 * lists.documents.codes, 2 * lists.documents.count))
    found, expected = (two_nn(DimensionLists.of(each)).estimate for each in (more, lists))
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    sums = sums_without(DimensionLists.of(more), 1, lambda logs: np.ones((len(logs), 1)))
    assert sums is not None
    assert (sums[1::2] == len(rows)).all()
