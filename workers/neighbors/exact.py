"""Exact nearest neighbours within nested prefixes: one pass over half of all pairs, every row certified.

    preparing      what comes before the first tile:
    stored         rows where they lie, and their centred form
    layout         rows into slots; prefixes are unions of stretches of blocks
    plan           which low-precision format filters, by measurement
    encoding       rows in that format, so that one matrix product gives half squared distances
    duplicates     rows equal to the last bit: settled before the search
    filtering      all pairs, tile by tile → upper bounds, and the pairs that may be neighbours
    settling       those pairs in float64 by direct subtraction
    float64_level  rows that neither could settle

Each level keeps everything that its rigorous error bound cannot exclude, so the answer is the reference's whatever
the format, the tile, the order or the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workers.neighbors.answers import Neighbors, nearest_pairs
from workers.neighbors.candidates import CandidateState, no_candidates
from workers.neighbors.duplicates import resolve_duplicates
from workers.neighbors.filtering import Search, search_panel
from workers.neighbors.float64_level import search_float64
from workers.neighbors.formats import FormatTrial
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.rescoring import rescore
from workers.neighbors.stored import StoredRows
from workers.neighbors.strips import Part, slot_pairs, strips_of
from workers.neighbors.ticking import Tick

Array = np.ndarray


@dataclass(frozen=True)
class SearchWork:
    """What each level did.

    Attributes:
        format, tile, fused: of the filter, as used; `fused`: tiles by a Triton kernel.
        trials: what was measured to choose the format.
        slot_pairs: pairs the filter looked at.
        candidates: pairs it could not exclude; of them `settled` decided the answer, after float64.
        duplicates: rows settled by an equal row before the search.
        float64_rows: rows that went to the float64 level: too many candidates, or a bound contradicted.
    """

    format: str
    tile: int
    fused: bool
    trials: list[FormatTrial]
    slot_pairs: int
    candidates: int
    settled: int
    duplicates: int
    float64_rows: int


@dataclass(frozen=True)
class Task:
    """A search whose panels can begin.

    Attributes:
        state: to which every tile is added, or the merged state of parts.
        query_ids, pattern_ids: (slots,) row ids, of duplicates too, which have left the search.
        duplicates: pairs settled before the first panel.
    """

    search: Search
    state: CandidateState
    query_ids: Tensor
    pattern_ids: Tensor
    duplicates: Pairs
    trials: list[FormatTrial]


def exact_neighbors(
    question: Question, options: SearchOptions = SearchOptions(), tick: Tick = lambda share: None
) -> tuple[list[Neighbors], SearchWork]:
    """The k nearest database rows of each query in each prefix.

    Args:
        tick: called with the share of pairs done, after each tile; an exception that it raises ends the search.

    Raises:
        NonFiniteData: a row is not finite, or squared norms overflow a double.
        OutOfMemory: the device does not hold the smallest tile.
    """
    if not len(question.order) or not len(question.query_ids):
        return [Neighbors.without_any(ids.numpy(), question.k) for ids in question.prefix_queries], _no_work()
    task = begin(*prepare_search(question, options))
    search_tiles(task.search, task.state, Part(), tick)
    return answer(task, question.prefix_queries)


def exact_for_rows(question: Question, rows: Array, options: SearchOptions = SearchOptions()) -> list[Neighbors]:
    """The k nearest of some `rows` of the database only, in every prefix; a row is not its own neighbour."""
    chosen = StoredRows(question.database.take(torch.from_numpy(rows)).numpy())
    codes = question.database_codes
    return exact_neighbors(replace(question, codes=codes, queries=chosen, query_codes=codes[rows]), options)[0]


def begin(search: Search, trials: list[FormatTrial]) -> Task:
    """The state before the first panel: rows equal to the last bit are settled."""
    state = no_candidates(search.prefixes, search.k)
    query_ids, pattern_ids = search.queries.layout.ids.clone(), search.database.layout.ids.clone()
    duplicates = resolve_duplicates(search, state) if search.symmetric else no_pairs()
    return Task(search, state, query_ids, pattern_ids, duplicates, trials)


def search_tiles(search: Search, state: CandidateState, part: Part, tick: Tick) -> None:
    """Add all tiles of a part to a state; `tick` as in `exact_neighbors`."""
    strips = strips_of(search, part)
    total, done = slot_pairs(strips), 0

    def tile_done(pairs: int) -> None:
        nonlocal done
        done += pairs
        tick(done / total)

    for panel, columns in strips:
        search_panel(search, panel, state, tile_done, columns)


def answer(task: Task, prefix_queries: Sequence[Tensor]) -> tuple[list[Neighbors], SearchWork]:
    """The neighbours of the queries of each prefix, once the state holds all tiles."""
    settled, work = finish(task)
    scale, k = task.search.database.rows.scale, task.search.k
    return nearest_pairs(settled, scale, task.query_ids, task.pattern_ids, prefix_queries, k), work


def finish(task: Task) -> tuple[Pairs, SearchWork]:
    """Settle what the state of all panels leaves open."""
    search, state = task.search, task.state
    state.prune(search.prefixes)
    rows, columns = state.rows.long().cpu(), state.columns.long().cpu()
    # Equal rows tie; which of them is settled must not depend on the order in which tiles were searched or merged.
    order = torch.argsort(rows * 2**32 + columns)
    rows, columns = rows[order], columns[order]
    first = torch.maximum(search.prefixes.of_row.cpu()[rows], search.prefixes.of_column.cpu()[columns])
    lowers = state.lowers.cpu()[order]
    settled = rescore(search, Pairs(rows, columns, first, lowers, lowers))
    state.lifted |= _contradicted(task, settled).to(state.lifted.device)
    lifted = torch.nonzero(state.lifted.cpu() & (search.queries.layout.ids >= 0))[:, 0]
    work = SearchWork(
        format=search.database.encoding.name,
        tile=search.tile,
        fused=search.fused,
        trials=task.trials,
        slot_pairs=slot_pairs(strips_of(search, Part())),
        candidates=len(rows),
        settled=len(settled),
        duplicates=len(torch.unique(task.duplicates.rows)),
        float64_rows=len(lifted),
    )
    return join([task.duplicates, settled, search_float64(search, lifted)]), work


def _contradicted(task: Task, settled: Pairs) -> Tensor:
    """(slots,) bool: rows whose k-th settled distance exceeds its upper bound, so that the device cannot be trusted.

    It never happens while products are as exact as the bounds assume; such rows go to the float64 level.
    """
    search, best = task.search, task.state.best[:, :, -1].cpu()
    found = kth_smallest(join([task.duplicates, settled]), len(best), search.prefixes.count, search.k)
    asked = torch.arange(search.prefixes.count) >= search.prefixes.of_row.cpu()[:, None]
    return ((found > best) & asked & (best >= 0)).any(dim=1)


def _no_work() -> SearchWork:
    return SearchWork("none", 0, False, [], 0, 0, 0, 0, 0)
