"""The float64 level finds the k nearest of every row without help from the filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import exact_duplicates, gaussian, near_duplicates
from tests.neighbors.engines import assert_equals_reference, count_measured
from workers.neighbors import float64_level
from workers.neighbors.answers import AnswerLists
from workers.neighbors.float64_level import search_float64
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
SIZES = [50, 130, 300]


@pytest.mark.parametrize("rows", [gaussian()[:300], near_duplicates()[:300] + 1e3, exact_duplicates()[:300]],
                         ids=["gaussian", "near", "equal"])  # fmt: skip
@pytest.mark.parametrize(("k", "coded"), [(1, False), (3, True), (60, True)])
@pytest.mark.parametrize("tile", [64, 1024])
def test_every_prefix_equals_the_reference(
    rows: Array, k: int, coded: bool, tile: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(float64_level, "_TILE", {"cpu": tile})
    codes = np.arange(300) // 7 if coded else None
    question = Question(StoredRows(rows), seeded_permutation(300, 0), SIZES, k, codes)
    search, _ = prepare_search(question, SearchOptions(format=torch.float32))
    ids = search.database.layout.ids
    pairs = search_float64(search, torch.nonzero(ids >= 0)[:, 0])
    lists = AnswerLists(ids, ids, question.prefix_queries, k)
    lists.put(pairs)
    for part in lists.neighbors():
        assert_equals_reference(part, rows, k, codes)


def test_few_pairs_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch):
    """float64 products order nearly all pairs of Gaussian rows; only the k nearest are measured by subtraction."""
    measured = count_measured(monkeypatch)
    question = Question.of_all_rows(StoredRows(gaussian()[:256]), 2)
    search, _ = prepare_search(question, SearchOptions(format=torch.float32))
    pairs = search_float64(search, torch.arange(256))
    assert len(pairs) == 512
    assert sum(measured) == 512
