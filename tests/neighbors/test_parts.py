"""A search in parts, in any order, settled in any ranges of the queries, has the bits of the search of one worker."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.neighbors.datasets import HARD, near_duplicates
from workers.neighbors.answers import Neighbors
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.settling import cut_state, join_settled, join_work, query_blocks, ranges_of, settle
from workers.neighbors.splitting import plan_search, prepare_part, read_plan, search_part
from workers.neighbors.stored import StoredRows
from workers.neighbors.strips import Part, slot_pairs, strips_of

Array = np.ndarray
FORMATS = (torch.bfloat16, torch.float32)


def in_parts(question: Question, parts: int, chance: np.random.Generator, tile: int = 128) -> list[Neighbors]:
    """Every part as arrays, searched in some format; random ranges are settled, the parts in random order."""
    made, planned = plan_search(question, SearchOptions(format=FORMATS[int(chance.integers(2))], tile=tile))
    plan = read_plan(made.arrays(), made.facts())
    cuts, kept = [], [planned, prepare_part(question, plan, SearchOptions())]
    blocks = query_blocks(question)
    stops = sorted({int(stop) for stop in chance.integers(1, blocks + 1, int(chance.integers(6)))} | {blocks})
    ranges = ranges_of(stops)
    for number in chance.permutation(parts):
        search = kept[int(chance.integers(2))] if chance.integers(2) else prepare_part(question, plan, SearchOptions())
        cuts.append(cut_state(search_part(search, plan, Part(int(number), int(number) + 1, parts)), ranges))
    settled = [
        settle(question, plan, slots, lambda at=at: (cuts[int(number)][at] for number in chance.permutation(parts)))
        for at, slots in enumerate(ranges)
    ]
    total = join_work([work for _, work in settled])
    assert total.slot_pairs == slot_pairs(strips_of(planned, Part()))
    return join_settled(question, [found for found, _ in settled])


def check_same(question: Question, parts: int, seed: int) -> None:
    for a, b in zip(exact_neighbors(question)[0], in_parts(question, parts, np.random.default_rng(seed)), strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()


def question_of(rows: Array, k: int, by_code: bool, cross: bool = False) -> Question:
    codes = np.arange(len(rows)) // 3 if by_code else None
    sizes = prefix_sizes(len(rows), (0.25, 0.5, 1.0))
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 1), sizes, k, codes)
    if not cross:
        return question
    others = StoredRows(rows[::-2].copy())
    asking = None if codes is None else codes[::-2].copy()
    return Question(question.database, question.permutation, sizes, k, codes, others, asking)


@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("k", "by_code", "cross"), [(1, False, False), (3, True, False), (2, True, True)])
def test_parts_have_the_bits_of_the_whole(make: Callable[[], Array], k: int, by_code: bool, cross: bool):
    check_same(question_of(make(), k, by_code, cross), parts=4, seed=k)


@examples(12)
@given(st.integers(1, 15), st.integers(0, 2**16), st.integers(1, 4), st.booleans())
def test_any_number_of_parts_in_any_order_and_grouping(parts: int, seed: int, k: int, by_code: bool):
    check_same(question_of(near_duplicates(), k, by_code), parts, seed)


@pytest.mark.parametrize(("sizes", "blocks"), [([640], 10), ([1, 640], 11), ([65, 129, 640], 11), ([64, 128, 128], 2)])
def test_ranges_cover_the_blocks_of_the_layout(sizes: list[int], blocks: int):
    rows = StoredRows(near_duplicates())
    question = Question(rows, np.arange(len(rows)), sizes)
    search, _ = prepare_search(question, SearchOptions(tile=64))
    assert query_blocks(question) == search.queries.layout.slots // 64 == blocks
    assert ranges_of([2, 3, 7]) == [slice(0, 128), slice(128, 192), slice(192, 448)]


@pytest.mark.parametrize("parts", [1, 3, 15])
def test_counts_of_parts_add_up(parts: int):
    rows = near_duplicates()
    question, radii, options = Question.of_all_rows(StoredRows(rows)), [0.02, 20.0, 0.02], SearchOptions(tile=128)
    expected = count_within(question, radii)
    found = [count_within(question, radii, options, Part(number, number + 1, parts)) for number in range(parts)]
    assert (np.sum(found, axis=0) == expected).all()


def test_every_tile_is_in_one_part():
    rows = near_duplicates()
    search, _ = prepare_search(Question.of_all_rows(StoredRows(rows)), SearchOptions(tile=64))
    stops = [0, 1, 20, 21, 55]
    parts = [strips_of(search, Part(start, stop, 55)) for start, stop in pairwise(stops)]
    cells = [(panel.start, at) for part in parts for panel, span in part for at in range(span.start, span.stop, 64)]
    assert len(cells) == len(set(cells)) == 55
    assert set(cells) == {(row, column) for row in range(0, 640, 64) for column in range(row, 640, 64)}
    assert [slot_pairs(part) // 64**2 for part in parts] == [1, 19, 1, 34]


def test_a_cpu_cuts_the_tiles_that_a_gpu_has_planned():
    rows = np.random.default_rng(0).standard_normal((9000, 8)).astype(np.float32)
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 1), [2000, 9000])
    expected, _ = exact_neighbors(question)
    found, work = exact_neighbors(question, SearchOptions(tile=8192))
    assert work.tile == 8192
    for a, b in zip(found, expected, strict=True):
        assert (a.distances == b.distances).all()
        assert (a.ids == b.ids).all()
    assert (count_within(question, [0.5], SearchOptions(tile=8192)) == count_within(question, [0.5])).all()
