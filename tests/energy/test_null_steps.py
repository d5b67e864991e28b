"""Null models of a block's steps: the row whose step another takes, and steps of the same length."""

from __future__ import annotations

import numpy as np
import pytest

from workers.energy.null_steps import NULLS, null_steps, other_rows


@pytest.mark.parametrize("sizes", [[1] * 9, [3, 3, 2, 1], [4, 1, 1, 2], [2, 2]])
def test_the_other_row_is_of_another_document(sizes: list[int]):
    codes = np.repeat(np.arange(len(sizes)) * 7, sizes)
    for seed in range(20):
        found = other_rows(codes, seed)
        assert found is not None
        assert sorted(found) == list(range(len(codes)))
        assert (codes[found] != codes).all()


def test_the_other_row_is_another_row_where_one_document_has_most():
    for codes in (np.zeros(5), np.array([0, 0, 0, 1]), np.zeros(2)):
        found = other_rows(codes, 3)
        assert found is not None
        assert (found != np.arange(len(codes))).all()
    assert other_rows(np.zeros(1), 0) is None


def test_each_null_keeps_its_part_of_the_steps():
    steps = np.random.default_rng(1).normal(size=(30, 7)) + 1
    others = other_rows(np.arange(30) // 3, 0)
    found = dict(null_steps(steps, others, np.random.default_rng(0)))
    mean, permuted, random = (found[kind] for kind in NULLS)
    assert mean is not None
    assert permuted is not None
    assert random is not None
    np.testing.assert_allclose(mean, np.tile(steps.mean(axis=0), (30, 1)))
    np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(steps, axis=0))
    np.testing.assert_allclose(np.linalg.norm(random, axis=1), np.linalg.norm(steps, axis=1))


def test_a_single_row_has_no_permuted_step():
    steps = np.ones((1, 3))
    found = dict(null_steps(steps, other_rows(np.zeros(1), 0), np.random.default_rng(0)))
    assert found["permuted_step"] is None
    np.testing.assert_array_equal(found["mean_step"], steps)
