"""The answers of nested prefixes from the lists of one search of the largest prefix.

The nearest rows of a query within a prefix are those entries of its list that lie in the prefix, in the list's order:
what the list leaves out is farther, or as far with a larger id. Queries whose list has too few of them are searched
again, so the answer is that of a search of every prefix.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_for_rows, exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question

Array = np.ndarray
_MANY = 0.5  # of a prefix's queries: all of them together then cost no more than these alone


def nested_answers(question: Question, whole: Neighbors, options: SearchOptions = SearchOptions()) -> list[Neighbors]:
    """The answer to `question`, from longer lists of its largest prefix.

    Args:
        whole: the answer of an exact engine for `question.sizes[-1]`, of `question.k` neighbours or more.
    """
    places = np.full(len(question.database) + 1, len(question.database))  # the last is that of −1, no neighbour
    places[question.permutation] = np.arange(len(question.permutation))
    return [_within(question, whole, size, places, options) for size in question.sizes]


def _within(question: Question, whole: Neighbors, size: int, places: Array, options: SearchOptions) -> Neighbors:
    """The answer for the prefix of that size; `places` are the rows' places in the permutation."""
    queries = len(whole.rows) if question.queries is not None else size
    rows, ids, distances = (array[:queries] for array in (whole.rows, whole.ids, whole.distances))
    found = Neighbors.without_any(rows, question.k)
    inside = places[ids] < size
    rank = np.cumsum(inside, axis=1, dtype=np.int32)
    at, column = np.nonzero(inside & (rank <= question.k))
    cells = at, rank[at, column] - 1
    found.distances[cells], found.ids[cells] = distances[at, column], ids[at, column]
    if queries:
        _search_again(question, size, found, np.flatnonzero((rank[:, -1] < question.k) & (ids[:, -1] >= 0)), options)
    return found


def _search_again(question: Question, size: int, found: Neighbors, short: Array, options: SearchOptions) -> None:
    """Complete the answers of the queries numbered `short`, whose lists were cut off."""
    prefix = replace(question, sizes=[size])
    if len(short) > _MANY * len(found.rows):
        answer = exact_neighbors(prefix, options)[0][0]
        found.distances[:], found.ids[:] = answer.distances, answer.ids
    elif len(short):
        answer = exact_for_rows(prefix, found.rows[short], options)[0]
        found.distances[short], found.ids[short] = answer.distances, answer.ids
