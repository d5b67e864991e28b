"""The float64 level finds the k nearest of every row without help from the filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import gaussian
from tests.neighbors.engines import LEVEL_ROWS, assert_a_level_finds, count_measured
from workers.neighbors import float64_level
from workers.neighbors.float64_level import search_float64
from workers.neighbors.options import SearchOptions
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@pytest.mark.parametrize("rows", LEVEL_ROWS.values(), ids=LEVEL_ROWS)
@pytest.mark.parametrize(("k", "coded"), [(1, False), (3, True), (60, True)])
@pytest.mark.parametrize("tile", [64, 1024])
def test_every_prefix_equals_the_reference(
    rows: Array, k: int, coded: bool, tile: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(float64_level, "_TILE", {"cpu": tile})
    assert_a_level_finds(search_float64, rows, k, np.arange(300) // 7 if coded else None)


def test_few_pairs_are_measured_one_by_one(monkeypatch: pytest.MonkeyPatch):
    """float64 products order nearly all pairs of Gaussian rows; only the k nearest are measured by subtraction."""
    measured = count_measured(monkeypatch)
    question = Question.of_all_rows(StoredRows(gaussian()[:256]), 2)
    search, _ = prepare_search(question, SearchOptions(format=torch.float32))
    pairs = search_float64(search, torch.arange(256))
    assert len(pairs) == 512
    assert sum(measured) == 512
