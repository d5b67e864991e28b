"""Exact nearest neighbours within nested prefixes: one pass over half of all pairs, every row certified.

The filter computes all pairs, tile by tile, in a low-precision format, with rigorous lower and upper bounds on each
distance (encoding, filtering). A pair stays a candidate while its lower bound does not exceed the k-th smallest upper
bound of its query (candidates). Candidates are rescored in float64 by direct subtraction of the stored rows
(rescoring). Rows with too many candidates are searched in float64 (float64_level). Rows equal to the last bit are
resolved before the first tile (duplicates).

Certificate: no level drops a pair that its bounds cannot exclude, so the answer is that of the float64 reference,
whatever the format, the tile, the order of the tiles or the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import local

import numpy as np
import torch
from torch import Tensor

from workers.neighbors.answers import Neighbors, nearest_pairs
from workers.neighbors.candidates import CandidateState, no_candidates
from workers.neighbors.duplicates import resolve_duplicates
from workers.neighbors.filtering import Search, left_columns, search_tile
from workers.neighbors.float64_level import search_float64
from workers.neighbors.formats import FormatTrial
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs, join, kth_smallest, no_pairs, row_blocks
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.rescoring import rescore, scaled_up
from workers.neighbors.stored import StoredRows
from workers.neighbors.strip_search import search_strips
from workers.neighbors.strips import Part, run_tiles, slot_pairs, strips_of
from workers.neighbors.ticking import Tick

Array = np.ndarray


@dataclass(frozen=True)
class SearchWork:
    """The work of each level, for the provenance of a report (the field names are JSON keys of stored reports).

    Attributes:
        format, tile, fused: number format and tile size of the filter, and whether a Triton kernel computed the tiles.
        trials: the measurements by which the format was chosen.
        slot_pairs: pairs that the filter computed.
        candidates: pairs that the filter could not exclude.
        settled: nearest neighbours found, the candidates that are among the k nearest after rescoring.
        duplicates: rows that have an equal row.
        float64_rows: rows searched by the float64 level: too many candidates, or a contradicted bound.
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
    """A prepared search.

    Attributes:
        state: the state that every tile is added to, or the merged state of parts.
        query_ids, database_ids: (slots,) row ids, including those of duplicates that left the search.
        duplicates: pairs at distance 0, resolved before the first tile.
    """

    search: Search
    state: CandidateState
    query_ids: Tensor
    database_ids: Tensor
    duplicates: Pairs
    trials: list[FormatTrial]


def exact_neighbors(
    question: Question, options: SearchOptions = SearchOptions(), tick: Tick = lambda share: None
) -> tuple[list[Neighbors], SearchWork]:
    """The k nearest database rows of each query in each prefix.

    Args:
        tick: called with the share of pairs done, after each tile; an exception that it raises ends the search.

    Raises:
        NonFiniteData, InvalidInput: naming a row that no double measures, as `centre_rows` and `check_distances`.
        OutOfMemory: the device does not hold the smallest tile.
    """
    if not len(question.order) or not len(question.query_ids):
        return [Neighbors.without_any(ids.numpy(), question.k) for ids in question.prefix_queries], _no_work()
    task = begin(*prepare_search(question, options))
    search_tiles(task.search, task.state, Part(), tick)
    return answer(task, question.prefix_queries)


def exact_for_rows(question: Question, rows: Array, options: SearchOptions = SearchOptions()) -> list[Neighbors]:
    """The k nearest of some query `rows` only, in every prefix; a row of the database is not its own neighbour."""
    among = question.queries is None
    asked = question.database if question.queries is None else question.queries
    chosen = StoredRows(asked.take(torch.from_numpy(rows)).numpy())
    codes = question.database_codes if among else question.codes
    own = question.database_codes if among else question.query_codes
    of_rows = None if own is None else own[rows]
    return exact_neighbors(replace(question, codes=codes, queries=chosen, query_codes=of_rows), options)[0]


def begin(search: Search, trials: list[FormatTrial]) -> Task:
    """The search before its first tile, with duplicates resolved."""
    state = no_candidates(search.prefixes, search.k)
    query_ids, database_ids = search.queries.layout.ids.clone(), search.database.layout.ids.clone()
    none = no_pairs(query_ids.device)
    duplicates = resolve_duplicates(search, state) if search.symmetric else none
    return Task(search, state, query_ids, database_ids, duplicates, trials)


def search_tiles(search: Search, state: CandidateState, part: Part, tick: Tick) -> None:
    """Add all tiles of a part to a state; `tick` as in `exact_neighbors`."""
    if search.strips:
        search_strips(search, state, part, tick)
        return
    kept = local()  # the left columns of a thread's last panel: those of its next tile, most often

    def search_one(panel: slice, columns: slice) -> None:
        if getattr(kept, "panel", None) != panel:
            kept.panel, kept.left = panel, left_columns(search, panel)
        search_tile(search, kept.left, panel, columns, state)

    run_tiles(search, part, search_one, tick)


def answer(task: Task, prefix_queries: Sequence[Tensor]) -> tuple[list[Neighbors], SearchWork]:
    """The neighbours of the queries of each prefix, once the state holds all tiles."""
    rescored, work = finish(task)
    return nearest_pairs(rescored, task.query_ids, task.database_ids, prefix_queries, task.search.k), work


def finish(task: Task) -> tuple[Pairs, SearchWork]:
    """Rescore the candidates of the state of all tiles, and search the remaining rows in float64."""
    search, state = task.search, task.state
    state.prune(search.prefixes)
    order = torch.argsort(state.rows, stable=True)
    blocks = (rescore(search, _candidates(task, order[block])) for block in row_blocks(state.rows[order]))
    rescored = join([no_pairs(order.device), *blocks])
    state.lifted |= _contradicted(task, rescored)
    lifted = torch.nonzero(state.lifted & (search.queries.layout.ids >= 0))[:, 0]
    work = SearchWork(
        format=search.database.encoding.name,
        tile=search.tile,
        fused=search.fused,
        trials=task.trials,
        slot_pairs=slot_pairs(strips_of(search, Part())),
        candidates=len(state.rows),
        settled=len(rescored),
        duplicates=len(torch.unique(task.duplicates.rows)),
        float64_rows=len(lifted),
    )
    return join([task.duplicates, rescored, search_float64(search, lifted)]), work


def _candidates(task: Task, chosen: Tensor) -> Pairs:
    """Some of the state's candidates, by row and column.

    Equal distances tie; which pair is kept must not depend on the order in which tiles were searched or merged.
    """
    prefixes, state = task.search.prefixes, task.state
    rows, columns, lowers = state.rows[chosen].long(), state.columns[chosen].long(), state.lowers[chosen]
    order = torch.argsort(rows * 2**32 + columns)
    rows, columns, lowers = rows[order], columns[order], lowers[order]
    first = torch.maximum(prefixes.of_row[rows], prefixes.of_column[columns])
    return Pairs(rows, columns, first, lowers, lowers)


def _contradicted(task: Task, rescored: Pairs) -> Tensor:
    """(slots,) bool: rows whose k-th rescored distance exceeds its upper bound: the device computed a wrong product.

    This cannot happen while the products satisfy the error bounds; the float64 level searches such rows again.
    """
    search, best = task.search, task.state.best[:, :, -1]
    found = kth_smallest(join([task.duplicates, rescored]), len(best), search.prefixes.count, search.k)
    of_row = search.prefixes.of_row
    is_query = torch.arange(search.prefixes.count, device=of_row.device) >= of_row[:, None]
    return ((scaled_up(search, found) > best) & is_query & (best >= 0)).any(dim=1)


def _no_work() -> SearchWork:
    return SearchWork("none", 0, False, [], 0, 0, 0, 0, 0)
