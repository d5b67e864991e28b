"""Rescoring measures the pairs that decide the answer, nearest first, and few others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import exact_duplicates, gaussian, near_duplicates
from tests.neighbors.engines import count_measured, search
from workers.neighbors import pairs as pairs_module
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, row_blocks
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.rescoring import pair_distances, rescore
from workers.neighbors.stored import StoredRows

N = 120


def all_pairs(k: int, slack: float) -> tuple[Pairs, np.ndarray, object]:
    """Every pair of 120 rows with a lower bound just under its distance; the (n, n) true distances."""
    question = Question.of_all_rows(StoredRows(gaussian()[:N]), k)
    prepared, _ = prepare_search(question, SearchOptions(format=torch.float32))
    rows, columns = (torch.from_numpy(part) for part in np.nonzero(~np.eye(N, dtype=bool)))
    ids = prepared.database.layout.ids
    gaps = pair_distances(question.database, question.database, ids[rows], ids[columns])
    true = np.full((N, N), np.inf)
    true[rows, columns] = gaps.numpy()
    scaled = gaps * prepared.database.rows.scale
    lowers = (scaled * (1 - slack)).float() if slack else torch.nextafter(scaled.float(), torch.tensor(0.0))
    return Pairs(rows, columns, torch.zeros_like(rows), lowers, lowers), true, prepared


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("slack", [0.0, 1e-3, 0.5])
def test_the_k_nearest_are_rescored_whatever_the_bounds(k: int, slack: float):
    pairs, true, search = all_pairs(k, slack)
    found, kth = rescore(search, pairs)  # type: ignore[arg-type]
    assert (found.uppers.numpy() == true[found.rows, found.columns]).all()
    assert (kth[:N, 0].numpy() == np.sort(true, axis=1)[:, k - 1]).all()
    wanted = {(row, column) for row in range(N) for column in np.flatnonzero(true[row] <= float(kth[row, 0]))}
    assert set(zip(found.rows.tolist(), found.columns.tolist(), strict=True)) == wanted
    assert len(found) == len(wanted)


def test_sharp_bounds_spare_most_pairs(monkeypatch: pytest.MonkeyPatch):
    pairs, _, search = all_pairs(2, 0.0)
    measured = count_measured(monkeypatch)
    rescore(search, pairs)  # type: ignore[arg-type]
    assert sum(measured) == 2 * N


def test_each_round_measures_four_times_as_many(monkeypatch: pytest.MonkeyPatch):
    """Without usable lower bounds every pair is measured: 1, 4, 16, 64 and the rest of each row."""
    pairs, _, search = all_pairs(1, 1.0)
    measured = count_measured(monkeypatch)
    rescore(search, pairs)  # type: ignore[arg-type]
    assert measured == [N, 3 * N, 12 * N, 48 * N, (N - 1 - 64) * N]


@pytest.mark.parametrize("make", [near_duplicates, exact_duplicates, gaussian])
@pytest.mark.parametrize("k", [1, 20])
def test_blocks_of_rows_give_the_bits_of_all_rows_at_once(
    make: Callable[[], np.ndarray], k: int, monkeypatch: pytest.MonkeyPatch
):
    rows = make()
    whole = search(rows, k=k)
    monkeypatch.setattr(pairs_module, "_AT_ONCE", 100)  # of 20 neighbours a block has a few rows, or one
    for a, b in zip(whole, search(rows, k=k), strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def test_blocks_have_whole_rows_and_one_row_may_exceed_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pairs_module, "_AT_ONCE", 3)
    rows = torch.tensor([0, 0, 1, 1, 2, 3, 3, 3, 3, 3, 4])
    assert [rows[block].tolist() for block in row_blocks(rows)] == [[0, 0], [1, 1, 2], [3, 3, 3, 3, 3], [4]]
    assert list(row_blocks(rows[:0])) == []
