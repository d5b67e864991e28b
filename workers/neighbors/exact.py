"""Exact nearest neighbours within nested prefixes: one pass over half of all pairs, every row certified.

The filter computes all pairs, tile by tile, in a low-precision format, with rigorous lower and upper bounds on each
distance (encoding, filtering). A pair stays a candidate while its lower bound does not exceed the k-th smallest upper
bound of its query (candidates). Candidates are rescored in float64 by direct subtraction of the stored rows
(rescoring). Rows with too many candidates are searched again in float32 about a centre of their own, and what is left
in float64 (finishing). Rows equal to the last bit are resolved before the first tile (duplicates).

Certificate: no level drops a pair that its bounds cannot exclude, so the answer is that of the float64 reference,
whatever the format, the tile, the order of the tiles or the device.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from workers.neighbors.answers import Neighbors
from workers.neighbors.candidates import CandidateState, no_candidates
from workers.neighbors.duplicates import resolve_duplicates
from workers.neighbors.filtering import search_tile
from workers.neighbors.finishing import answer
from workers.neighbors.formats import FormatTrial
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import no_pairs
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.stored import StoredRows
from workers.neighbors.strip_search import search_strips
from workers.neighbors.strips import Part, run_tiles
from workers.neighbors.task import SearchWork, Task
from workers.neighbors.ticking import Tick
from workers.neighbors.tile import Tiles

Array = np.ndarray


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
    tiles = Tiles(search)
    run_tiles(search, part, lambda panel, columns: search_tile(tiles, panel, columns, state), tick)


def _no_work() -> SearchWork:
    return SearchWork("none", 0, False, [], 0, 0, 0, 0, 0)
