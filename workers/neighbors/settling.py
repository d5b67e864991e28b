"""The answer of a search in parts, settled range by range of its queries.

A state keeps upper bounds and candidates for each query separately. The states of all parts are therefore cut at the
same queries, and several workers each merge and rescore one range; none reads what belongs to another. The joined
answer equals that of one worker to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from workers.neighbors.answers import Neighbors
from workers.neighbors.candidates import CandidateState, merge_candidates
from workers.neighbors.finishing import answer
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.splitting import SearchPlan, zero_pairs
from workers.neighbors.strips import Part, slot_pairs, strips_of
from workers.neighbors.task import SearchWork, Task

Array = np.ndarray
_STATE = ("best", "lifted", "rows", "columns", "lowers")
_QUERIES_PER_S, _STATE_BYTES, _READ_BYTES_PER_S = 1e5, 32, 2e9
# Fields of `SearchWork`.
_ADDED_UP = ("slot_pairs", "candidates", "settled", "duplicates", "float32_rows", "float64_rows")


def predict_settling(queries: int, parts: int) -> float:
    """Predicted seconds in which one worker settles all queries: their states are read, their candidates rescored."""
    return queries * (1 / _QUERIES_PER_S + parts * _STATE_BYTES / _READ_BYTES_PER_S)


def query_blocks(question: Question) -> int:
    """Blocks of 64 query slots: the largest number of ranges."""
    if question.queries is not None:
        return -(-len(question.queries) // BLOCK)
    return sum(-(-(high - low) // BLOCK) for low, high in pairwise([0, *question.sizes]))


def ranges_of(stops: Sequence[int]) -> list[slice]:
    """The query slots of the ranges that stop after these blocks."""
    return [slice(first * BLOCK, after * BLOCK) for first, after in pairwise([0, *stops])]


def cut_state(state: CandidateState, ranges: Sequence[slice]) -> list[dict[str, Array]]:
    """A pruned state as arrays, one state for each range of query slots; its rows are counted from the range's first.

    Args:
        ranges: consecutive, all slots together.
    """
    return [{name: getattr(part, name).cpu().numpy() for name in _STATE} for part in state.cut(ranges)]


def settle(
    question: Question, plan: SearchPlan, slots: slice, states: Callable[[], Iterable[dict[str, Array]]]
) -> tuple[list[Neighbors], SearchWork]:
    """The neighbours of the queries in some slots, in every prefix, and the work of the search for them.

    Args:
        states: returns the arrays of these slots from `cut_state` of every part, in any order.
    """
    whole, _ = prepare_search(question, SearchOptions(tile=plan.tile), fixed=plan.fixed, encode=False)
    search = whole.of_queries(slots)
    ids = search.queries.layout.ids.clone(), whole.database.layout.ids.clone()
    whole.database.empty(plan.emptied)
    merged = _merged(search, states())
    task = Task(search, merged, *ids, zero_pairs(search, plan, slots), plan.trials)
    found, work = answer(task, [queries[torch.isin(queries, ids[0])] for queries in question.prefix_queries])
    return found, replace(work, slot_pairs=_share(whole, slots))


def join_settled(question: Question, settled: Sequence[list[Neighbors]]) -> list[Neighbors]:
    """The neighbours of all queries in each prefix, from those of every range."""
    asked, joined = question.database if question.queries is None else question.queries, []
    for prefix, queries in enumerate(question.prefix_queries):
        place = np.empty(len(asked), dtype=np.int64)
        place[queries.numpy()] = np.arange(len(queries))
        whole = Neighbors.without_any(queries.numpy(), question.k)
        for part in (each[prefix] for each in settled):
            whole.distances[place[part.rows]], whole.ids[place[part.rows]] = part.distances, part.ids
        joined.append(whole)
    return joined


def join_work(works: Sequence[SearchWork]) -> SearchWork:
    """The work for all queries, from that for every range."""
    sums = {name: sum(getattr(work, name) for work in works) for name in _ADDED_UP}
    return replace(works[0], **sums)


def _merged(search: Search, states: Iterable[dict[str, Array]]) -> CandidateState:
    whole = None
    for arrays in states:
        best, lifted, rows, columns, lowers = (torch.from_numpy(arrays[name]) for name in _STATE)
        state = CandidateState(best, lifted, rows, columns, lowers)
        whole = state if whole is None else merge_candidates(whole, state, search.prefixes)
    assert whole is not None
    return whole


def _share(whole: Search, slots: slice) -> int:
    """The slot pairs of a search, shared out in proportion to the slots; the shares of all ranges add up."""
    every = slot_pairs(strips_of(whole, Part()))
    return every * slots.stop // whole.queries.layout.slots - every * slots.start // whole.queries.layout.slots
