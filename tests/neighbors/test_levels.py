"""The float64 level is for ties: on data as activations are, it gets at most 1 % of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from workers.neighbors import preparing
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.layout import BLOCK, lay_out
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import CentredRows, StoredRows, centre_rows, lengths_of

Array = np.ndarray
N, D = 6000, 48
FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def isotropic() -> Array:
    return np.random.default_rng(0).standard_normal((N, D), dtype=np.float32)


def low_rank() -> Array:
    chance = np.random.default_rng(0)
    rows = chance.standard_normal((N, 8)) @ chance.standard_normal((8, D)) + 0.1 * chance.standard_normal((N, D))
    return rows.astype(np.float32)


def clusters() -> Array:
    chance = np.random.default_rng(0)
    centres = np.repeat(chance.standard_normal((N // 50, D)), 50, axis=0)
    return (centres + 0.3 * chance.standard_normal((N, D))).astype(np.float32)[chance.permutation(N)]


def long_rows() -> Array:
    rows = low_rank()
    rows[::32] *= 300
    return rows


def massive_group() -> Array:
    """One row in 32 lies far away, and near the others of its kind, as the first positions of contexts do."""
    rows, chance = low_rank(), np.random.default_rng(1)
    rows[::32] = 300 * rows[0] + chance.standard_normal((len(rows[::32]), D))
    return rows


MAKERS = [isotropic, low_rank, clusters, long_rows, massive_group]
FORMATS = [torch.float32, torch.bfloat16]


def float64_rows(rows: Array, k: int, form: torch.dtype, fractions: Sequence[float] = FRACTIONS) -> int:
    """Rows that a search of nested fractions sends to the float64 level."""
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 0), prefix_sizes(len(rows), fractions), k)
    return exact_neighbors(question, SearchOptions(format=form))[1].float64_rows


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("form", FORMATS)
def test_the_float64_level_gets_few_rows(make: Callable[[], Array], form: torch.dtype):
    assert float64_rows(make(), 1, form) <= N // 100


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("form", FORMATS)
def test_many_neighbours_leave_it_few_rows_too(make: Callable[[], Array], form: torch.dtype):
    """A limit on 64 neighbours needs 64 minima: blocks of 64 columns would give 24."""
    assert float64_rows(make()[:1500], 64, form, [1.0]) <= 15


@pytest.mark.long
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("form", FORMATS)
def test_many_neighbours_in_nested_fractions_leave_it_few_rows_too(make: Callable[[], Array], form: torch.dtype):
    assert float64_rows(make(), 64, form) <= N // 100


def test_sorted_stretches_have_the_sharper_limits(monkeypatch: pytest.MonkeyPatch):
    """A block that holds a long row has its bounds; where every block may hold one, more pairs stay candidates."""
    rows = long_rows()[:2000]
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 0), [len(rows)])
    options = SearchOptions(format=torch.float32)
    candidates = exact_neighbors(question, options)[1].candidates
    monkeypatch.setattr(preparing, "centre_rows", lambda sets: (centre_rows(sets)[0], torch.zeros(len(rows))))
    assert exact_neighbors(question, options)[1].candidates > 2 * candidates


def test_stretches_are_sorted_and_stay_what_they_are():
    order, sizes = torch.from_numpy(seeded_permutation(300, 1)), [70, 70, 200, 300]
    lengths = torch.rand(300, generator=torch.Generator().manual_seed(0))
    sorted_ids, plain = lay_out(order, sizes, lengths[order]), lay_out(order, sizes)
    assert torch.equal(sorted_ids.block_prefixes, plain.block_prefixes)
    for prefix in range(4):
        inside, before = (found.ids[found.slot_prefixes == prefix] for found in (sorted_ids, plain))
        assert sorted(inside.tolist()) == sorted(before.tolist())
        assert torch.equal(lengths[inside[inside >= 0]].sort().values, lengths[inside[inside >= 0]])
    assert sorted_ids.slots % BLOCK == 0


def test_lengths_do_not_depend_on_the_order_of_the_elements():
    rows = np.random.default_rng(0).standard_normal((600, 37)).astype(np.float32)
    turned = np.ascontiguousarray(rows[:, ::-1])
    ids = torch.arange(600)
    one, other = (
        lengths_of(CentredRows(StoredRows(part), torch.from_numpy(part[7].copy()), 0.25), ids)
        for part in (rows, turned)
    )
    assert torch.equal(one, other)
    assert torch.equal(one, torch.from_numpy(0.25 * np.abs(rows - rows[7]).max(axis=1)))
