"""From the state of all tiles to the answer: candidates are rescored, and the rows that have too many of them searched.

Ranges of queries are rescored separately. None reads what belongs to the queries of another, so that the threads of a
CPU share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

import torch
from torch import Tensor

from workers.neighbors.answers import AnswerLists, Neighbors
from workers.neighbors.candidates import CandidateState
from workers.neighbors.float32_level import search_float32
from workers.neighbors.float64_level import search_float64
from workers.neighbors.layout import BLOCK
from workers.neighbors.pairs import join, no_pairs
from workers.neighbors.rescoring import measure_candidates
from workers.neighbors.strips import Part, slot_pairs, strips_of
from workers.neighbors.task import SearchWork, Task
from workers.neighbors.threads import in_threads, threads_on

_AT_ONCE = {"cpu": 2**18, "cuda": 2**20}  # candidates of a range: sorting needs several times their memory
_RANGES_OF_A_THREAD = 4  # at least, so that the threads end together


def answer(task: Task, prefix_queries: Sequence[Tensor]) -> tuple[list[Neighbors], SearchWork]:
    """The neighbours of the queries of each prefix, once the state holds all tiles.

    Raises:
        InvalidInput: as `check_distances`.
    """
    search, state = task.search, task.state
    state.prune(search.prefixes)
    lists = AnswerLists(task.query_ids, task.database_ids, prefix_queries, search.k)
    settled, contradicted = _rescore_ranges(task, lists)
    is_query = search.queries.layout.ids >= 0
    crowded = torch.nonzero(state.lifted & is_query)[:, 0]
    contradicted = torch.nonzero(contradicted & is_query & ~state.lifted)[:, 0]
    narrow = search.database.encoding.dtype != torch.float32
    found, undecided = no_pairs(crowded.device), crowded
    if narrow:
        limits = state.best[crowded, search.prefixes.of_row[crowded], -1]
        found, undecided = search_float32(search, crowded, limits)
    last = torch.cat([undecided, contradicted])
    zero = task.duplicates.take(torch.isin(task.duplicates.rows, torch.cat([crowded, contradicted])))
    lists.put(join([zero, found, search_float64(search, last)]))
    work = SearchWork(
        format=search.database.encoding.name,
        tile=search.tile,
        fused=search.fused,
        trials=task.trials,
        slot_pairs=slot_pairs(strips_of(search, Part())),
        candidates=len(state.rows),
        settled=settled,
        duplicates=len(torch.unique(task.duplicates.rows)),
        float32_rows=len(crowded) if narrow else 0,
        float64_rows=len(last),
    )
    return lists.neighbors(), work


def _rescore_ranges(task: Task, lists: AnswerLists) -> tuple[int, Tensor]:
    """Enter the neighbours of the queries that the filter decided.

    Returns:
        The number of pairs that are among the nearest, without those of duplicates; and a mask of the slots in
        contradiction.
    """
    state, threads = task.state, threads_on(task.state.best.device)
    contradicted = torch.zeros_like(state.lifted)

    def settle(part: tuple[slice, CandidateState]) -> int:
        slots, of_slots = part
        of_part = task.of_queries(slots, of_slots)
        pairs, contradicted[slots] = measure_candidates(of_part.search, of_slots, of_part.duplicates)
        lists.put(pairs, slots.start)
        return len(pairs) - len(of_part.duplicates)

    ranges = _ranges(state, threads)
    with closing(in_threads(list(zip(ranges, state.cut(ranges), strict=True)), settle, threads)) as ended:
        return sum(ended), contradicted


def _ranges(state: CandidateState, threads: int) -> list[slice]:
    """Ranges of whole blocks of slots, of about equally many candidates."""
    blocks = len(state.best) // BLOCK
    most = min(_AT_ONCE[state.best.device.type], len(state.rows) // (_RANGES_OF_A_THREAD * threads) + 1)
    before = torch.bincount(state.rows // BLOCK, minlength=blocks).cumsum(0) // most
    stops = [*(torch.nonzero(before[1:] != before[:-1])[:, 0] + 1).tolist(), blocks]
    return [slice(first * BLOCK, after * BLOCK) for first, after in pairwise([0, *stops])]
