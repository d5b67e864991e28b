"""The float32 level settles rows that a 16-bit format cannot tell apart, about a centre of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import gaussian
from tests.neighbors.engines import LEVEL_ROWS, assert_a_level_finds, assert_equals_reference
from workers.neighbors import float32_level
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.float32_level import _within_reach, search_float32
from workers.neighbors.float64_level import search_float64
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, join
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.search import Search
from workers.neighbors.stored import StoredRows

Array = np.ndarray


def prepared(question: Question) -> Search:
    return prepare_search(question, SearchOptions(format=torch.bfloat16))[0]


def no_limits(slots: torch.Tensor) -> torch.Tensor:
    return torch.full((len(slots),), torch.inf)


def groups_far_apart(chance: np.random.Generator) -> Array:
    """Two tight clouds of 600 rows, 200 times as far from the centre as the 1,200 other rows."""
    far = 200 * chance.standard_normal((2, 32))
    clouds = [centre + 1e-2 * chance.standard_normal((600, 32)) for centre in far]
    return np.concatenate([*clouds, chance.standard_normal((1200, 32))])


@pytest.mark.parametrize("rows", LEVEL_ROWS.values(), ids=LEVEL_ROWS)
@pytest.mark.parametrize(("k", "coded"), [(1, False), (3, True), (60, True)])
@pytest.mark.parametrize("tile", [64, 1024])
def test_every_prefix_equals_the_reference(
    rows: Array, k: int, coded: bool, tile: int, monkeypatch: pytest.MonkeyPatch
):
    """What the level leaves undecided the next one finds."""

    def find(search: Search, slots: torch.Tensor) -> Pairs:
        pairs, left = search_float32(search, slots, no_limits(slots))
        assert not torch.isin(pairs.rows, left).any()
        return join([pairs, search_float64(search, left)])

    monkeypatch.setattr(float32_level, "_TILE", {"cpu": tile})
    assert_a_level_finds(find, rows, k, np.arange(300) // 7 if coded else None)


def test_all_gaussian_rows_are_settled():
    search = prepared(Question.of_all_rows(StoredRows(gaussian()[:256]), 2))
    pairs, left = search_float32(search, torch.arange(256), torch.full((256,), torch.inf))
    assert len(left) == 0
    assert len(pairs) == 512


def test_each_group_of_far_rows_has_a_pass_about_its_own_centre():
    rows = groups_far_apart(np.random.default_rng(0))
    (found,), work = exact_neighbors(Question.of_all_rows(StoredRows(rows)), SearchOptions(format=torch.bfloat16))
    assert work.float32_rows >= 1200
    assert work.float64_rows == 0
    assert_equals_reference(found, rows, 1, None)


def test_rows_of_many_far_groups_stay_undecided(monkeypatch: pytest.MonkeyPatch):
    """The centre of all twelve is that of none; they are left to the last level."""
    monkeypatch.setattr(float32_level, "_TILE", {"cpu": 8192})
    chance = np.random.default_rng(0)
    clouds = [far * (1 + 1e-9 * chance.standard_normal((530, 1))) for far in chance.standard_normal((12, 16))]
    search = prepared(Question.of_all_rows(StoredRows(np.concatenate(clouds))))
    slots = torch.nonzero(search.database.layout.ids >= 0)[:, 0]
    pairs, left = search_float32(search, slots, no_limits(slots))
    assert len(left) > 10 * 530
    assert not torch.isin(pairs.rows, left).any()


def test_no_rows_need_no_search():
    search = prepared(Question.of_all_rows(StoredRows(gaussian()[:64])))
    pairs, left = search_float32(search, torch.empty(0, dtype=torch.int64), torch.empty(0))
    assert (len(pairs), len(left)) == (0, 0)


def test_a_limit_leaves_the_rows_of_other_norms_out():
    """Of rows of norm 1 to 64 in every direction, those whose norm is within the limit are searched."""
    chance = np.random.default_rng(0)
    rows = chance.standard_normal((640, 24))
    rows *= (np.linspace(1, 64, 640) / np.linalg.norm(rows, axis=1))[:, None]
    search = prepared(Question.of_all_rows(StoredRows(rows)))
    side = search.database
    norms = np.linalg.norm(rows - side.rows.centre.numpy(), axis=1) * side.rows.scale
    of_slot = np.where(side.layout.ids >= 0, norms[side.layout.ids], np.inf)
    own = torch.tensor([100, 120, 300])
    limits = torch.tensor([0.01, 0.03, 0.0])
    reached = _within_reach(search, own, limits).numpy()
    low, high = (of_slot[own] - limits.numpy()).min(), (of_slot[own] + limits.numpy()).max()
    assert np.isin(np.flatnonzero((of_slot >= low) & (of_slot <= high)), reached).all()
    spare = 4 * side.encoding.gamma + 4 * float(side.errors.max())
    assert ((of_slot[reached] >= low - spare) & (of_slot[reached] <= high + spare)).all()
    assert len(reached) < 400


@pytest.mark.parametrize("k", [1, 3])
def test_limits_change_nothing_in_the_answer(k: int):
    """The tightest that are right: the k-th distances themselves."""
    rows = groups_far_apart(np.random.default_rng(1))
    search = prepared(Question.of_all_rows(StoredRows(rows), k))
    slots = torch.nonzero(search.database.layout.ids >= 0)[:, 0][::3]
    distances = nearest_reference(rows, k)[0][search.database.layout.ids[slots].numpy(), -1]
    limits = torch.from_numpy(np.nextafter((distances * search.database.rows.scale).astype(np.float32), np.inf))
    found, left = (search_float32(search, slots, of) for of in (limits, no_limits(slots)))
    for one, other in zip(*(sorted_pairs(part[0]) for part in (found, left)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("limit", [0.0, 1e-3])
def test_a_row_without_k_neighbors_within_its_limit_stays_undecided(limit: float):
    """As a wrong product of a device would make it: its neighbours may be among the rows that were left out."""
    search = prepared(Question.of_all_rows(StoredRows(gaussian()[:256]), 2))
    slots = torch.arange(0, 256, 5)
    limits = no_limits(slots)
    limits[::3] = limit
    pairs, left = search_float32(search, slots, limits)
    assert torch.equal(left, slots[::3])
    assert sorted(set(pairs.rows.tolist())) == sorted(set(slots.tolist()) - set(left.tolist()))
    none, left = search_float32(search, slots, torch.full((len(slots),), limit))
    assert (len(none), len(left)) == (0, len(slots))


def sorted_pairs(pairs: Pairs) -> list[torch.Tensor]:
    order = torch.from_numpy(np.lexsort((pairs.columns.numpy(), pairs.rows.numpy())))
    return [pairs.rows[order], pairs.columns[order], pairs.uppers[order]]
