"""Panels of a search can be done in any order, anywhere, and merged in any order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.neighbors.datasets import near_duplicates
from tests.neighbors.engines import FRACTIONS, assert_equals_reference, search
from workers.neighbors import preparing
from workers.neighbors.candidates import (
    CandidateState,
    Prefixes,
    merge_candidates,
    no_candidates,
)
from workers.neighbors.exact import begin, exact_neighbors
from workers.neighbors.filtering import search_panel
from workers.neighbors.finishing import answer
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, kth_smallest
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.rescoring import _contradicted
from workers.neighbors.stored import StoredRows
from workers.neighbors.tile import PlainTile

ROWS, COLUMNS = 4, 12
PREFIXES = Prefixes(torch.tensor([0, 0, 1, 2]), torch.arange(COLUMNS) // 4, 3)


def random_state(seed: int, part: int, k: int) -> CandidateState:
    """Bounds and candidates of a third of the columns, a bound never under the distance it bounds."""
    rng = np.random.default_rng(seed)
    state = no_candidates(PREFIXES, k)
    for column in range(part, COLUMNS, 3):
        lowers = torch.from_numpy(rng.integers(0, 6, ROWS).astype(np.float32))
        uppers = lowers + torch.from_numpy(rng.integers(0, 3, ROWS).astype(np.float32))
        state.offer(int(PREFIXES.of_column[column]), torch.arange(ROWS), uppers[:, None])
        state.add(torch.arange(ROWS), torch.full((ROWS,), column), lowers)
    state.prune(PREFIXES)
    return state


def as_sets(state: CandidateState) -> tuple[list, set]:
    cells = zip(state.rows.tolist(), state.columns.tolist(), state.lowers.tolist(), strict=True)
    return state.best.tolist(), set(cells)


@examples(100)
@given(st.lists(st.integers(0, 2**16), min_size=3, max_size=3), st.integers(1, 4))
def test_merging_is_associative_commutative_and_has_a_neutral_element(seeds: list[int], k: int):
    def made() -> list[CandidateState]:
        return [random_state(seed, part, k) for part, seed in enumerate(seeds)]

    def merge(a: CandidateState, b: CandidateState) -> CandidateState:
        return merge_candidates(a, b, PREFIXES)

    a, b, c = made()
    assert as_sets(merge(merge(a, b), c)) == as_sets(merge(a, merge(b, c)))
    assert as_sets(merge(a, b)) == as_sets(merge(b, a))
    assert as_sets(merge(a, no_candidates(PREFIXES, k))) == as_sets(a)


def test_a_row_lifted_in_one_part_is_lifted_in_the_whole():
    for lifted, other in ((0, 1), (1, 0)):
        states = [random_state(seed, seed, 2) for seed in (0, 1)]
        states[lifted].lifted[2] = True
        merged = merge_candidates(states[lifted], states[other], PREFIXES)
        assert merged.lifted.tolist() == [False, False, True, False]
        assert 2 not in merged.rows
        swapped = merge_candidates(states[other], states[lifted], PREFIXES)
        assert as_sets(swapped) == as_sets(merged)
        assert swapped.lifted.tolist() == merged.lifted.tolist()


@examples(50)
@given(st.integers(0, 2**16), st.integers(1, 3))
def test_pruning_keeps_what_can_be_among_the_k_nearest_of_some_prefix(seed: int, k: int):
    """A pair within the k-th upper bound of the first prefix that holds it is kept; a farther pair is dropped."""
    rng = np.random.default_rng(seed)
    state, lowers = no_candidates(PREFIXES, k), rng.integers(0, 16, (ROWS, COLUMNS)).astype(np.float32)
    uppers = lowers + rng.integers(0, 4, lowers.shape).astype(np.float32)  # whole numbers: many lie on the limit
    for column in range(COLUMNS):
        state.offer(
            int(PREFIXES.of_column[column]), torch.arange(ROWS), torch.from_numpy(uppers[:, column : column + 1])
        )
        state.add(torch.arange(ROWS), torch.full((ROWS,), column), torch.from_numpy(lowers[:, column].copy()))
    state.prune(PREFIXES)
    kept = set(zip(state.rows.tolist(), state.columns.tolist(), strict=True))
    for row in range(ROWS):
        for column in range(COLUMNS):
            first = max(int(PREFIXES.of_row[row]), column // 4)
            limit = np.sort(uppers[row, : 4 * (first + 1)])[k - 1]
            assert ((row, column) in kept) == (lowers[row, column] <= limit)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 3])
def test_panels_in_any_order_merged_in_any_order_give_the_same_bits(seed: int, k: int):
    rows = near_duplicates()
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS), k)
    search_, trials = prepare_search(question, SearchOptions(format=torch.bfloat16, tile=128))
    task = begin(search_, trials)
    rng = np.random.default_rng(seed)
    states = []
    for panel in rng.permutation(len(search_.panels())):
        state = no_candidates(search_.prefixes, k)
        search_panel(search_, search_.panels()[panel], state)
        states.append(state)
    while len(states) > 1:
        a, b = (states.pop(int(rng.integers(len(states)))) for _ in range(2))
        states.append(merge_candidates(a, b, search_.prefixes))
    task.state.best, task.state.lifted = states[0].best, states[0].lifted
    task.state.rows, task.state.columns, task.state.lowers = states[0].rows, states[0].columns, states[0].lowers
    found, _ = answer(task, question.prefix_queries)
    for a, b in zip(search(rows, k=k), found, strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def test_a_rescored_distance_above_its_upper_bound_is_a_contradiction():
    """In a prefix that has the row as a query, and for rows that duplicates have not resolved (bound −1)."""
    prefixes = Prefixes(torch.tensor([0, 0, 1, 0, 0]), torch.zeros(5, dtype=torch.int64), 2)
    state = no_candidates(prefixes, 1)
    state.best[:, :, 0] = torch.tensor([[1.0, 1.0], [1.0, 2.0], [0.5, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    rows = torch.tensor([0, 1, 2, 3, 4])
    distances = 2 * torch.tensor([0.9, 1.1, 1.0, 0.0, 0.1], dtype=torch.float64)  # the scale of the bounds is a half
    kth = kth_smallest(Pairs(rows, rows, prefixes.of_row[rows], distances.float(), distances), 5, 2, 1)
    search_ = SimpleNamespace(prefixes=prefixes, database=SimpleNamespace(rows=SimpleNamespace(scale=0.5)))
    assert _contradicted(search_, state, kth).tolist() == [False, True, False, False, True]  # type: ignore[arg-type]


def test_restore_undoes_the_offers_since_save():
    state = random_state(0, 0, 2)
    before = state.best.clone()
    saved = state.save(slice(0, 2), slice(2, 4))
    state.offer(0, torch.arange(4), torch.zeros(4, 1))
    assert not torch.equal(state.best, before)
    state.restore(saved)
    assert torch.equal(state.best, before)


def test_restore_keeps_what_another_thread_added():
    state = random_state(0, 0, 2)
    before = state.size
    saved = state.save(slice(0, 2))
    state.add(torch.tensor([3]), torch.tensor([1]), torch.tensor([0.0]))
    state.restore(saved)
    assert state.size == before + 1


@pytest.mark.parametrize("k", [1, 3])
def test_a_tile_that_exhausts_the_memory_amid_its_work_is_searched_again(k: int, monkeypatch: pytest.MonkeyPatch):
    """The candidates of its rows were added before its columns failed: they are added twice, and count once."""
    rows, failures = near_duplicates(), []
    along_columns = PlainTile.along_columns

    def fail_when_wide(tile: PlainTile) -> torch.Tensor:
        found = along_columns(tile)
        if len(found) > 64:
            failures.append(len(found))
            raise MemoryError
        return found

    whole = search(rows, k=k)
    monkeypatch.setattr(PlainTile, "along_columns", fail_when_wide)
    monkeypatch.setitem(preparing._TILE, "cpu", 128)
    again = search(rows, k=k)
    assert failures
    for a, b in zip(whole, again, strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def test_rows_with_too_many_candidates_to_list_are_lifted_and_still_exact():
    """A tight cloud far from the centre: bfloat16 cannot tell its rows apart, and 512 are too many to list."""
    rng = np.random.default_rng(0)
    cloud = 100 * rng.standard_normal(64) + 1e-3 * rng.standard_normal((700, 64))
    rows = np.concatenate([cloud, 50 * rng.standard_normal((900, 64))])
    options = SearchOptions(format=torch.bfloat16)
    (found,), work = exact_neighbors(Question.of_all_rows(StoredRows(rows)), options)
    assert (work.float32_rows, work.float64_rows) == (700, 0)
    assert_equals_reference(found, rows, 1, None)
