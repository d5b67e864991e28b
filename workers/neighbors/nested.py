"""The answers of nested prefixes from the lists of one search in a larger database.

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
    """The answer to `question`, from longer lists.

    Args:
        whole: the answer of an exact engine to all queries of `question`, and maybe others, in a database that has all
            of its rows, and maybe others; with `question.k` neighbours or more.
    """
    places = np.full(len(question.database) + 1, len(question.database))  # the last is that of −1, no neighbour
    places[question.permutation] = np.arange(len(question.permutation))
    answers = []
    for size, queries in zip(question.sizes, question.prefix_queries, strict=True):
        found, short = _in_prefix(_lists_of(whole, queries.numpy()), places, size, question.k)
        _search_again(replace(question, sizes=[size]), found, short, options)
        answers.append(found)
    return answers


def _lists_of(whole: Neighbors, rows: Array) -> Neighbors:
    """The lists of these queries."""
    if np.array_equal(whole.rows[: len(rows)], rows):
        return Neighbors(rows, whole.distances[: len(rows)], whole.ids[: len(rows)], whole.certified)
    positions = np.empty(int(whole.rows.max()) + 1, dtype=np.int64)
    positions[whole.rows] = np.arange(len(whole.rows))
    at = positions[rows]
    return Neighbors(rows, whole.distances[at], whole.ids[at], whole.certified)


def _in_prefix(lists: Neighbors, places: Array, size: int, k: int) -> tuple[Neighbors, Array]:
    """The first k entries of each list within the prefix of that size, and the queries whose list was cut off before.

    Args:
        places: place of each row in the permutation; the last belongs to no row.
    """
    found = Neighbors.without_any(lists.rows, k)
    inside = places[lists.ids] < size
    rank = np.cumsum(inside, axis=1, dtype=np.int32)
    at, column = np.nonzero(inside & (rank <= k))
    cells = at, rank[at, column] - 1
    found.distances[cells], found.ids[cells] = lists.distances[at, column], lists.ids[at, column]
    return found, np.flatnonzero((rank[:, -1] < k) & (lists.ids[:, -1] >= 0))


def _search_again(prefix: Question, found: Neighbors, short: Array, options: SearchOptions) -> None:
    """Complete the answers of the queries numbered `short`."""
    if len(short) > _MANY * len(found.rows):
        (answer,), _ = exact_neighbors(prefix, options)
        found.distances[:], found.ids[:] = answer.distances, answer.ids
    elif len(short):
        (answer,) = exact_for_rows(prefix, found.rows[short], options)
        found.distances[short], found.ids[short] = answer.distances, answer.ids
