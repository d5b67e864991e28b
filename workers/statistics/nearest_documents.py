"""The nearest row of every row, and the nearest of another document than that one's: exact, from lists of neighbours.

Most lists have rows of two documents. The few queries whose k neighbours are all of one document are searched again
among the other documents.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.statistics.documents import Documents
from workers.statistics.lists import NearestOfTwoDocuments, NeighborLists

Array = np.ndarray
_MANY = 0.5  # of the rows: one search of all of them, each pair once, then costs no more than theirs
_LONGEST = 64  # neighbours of the first search again; four times as many each time


def nearest_of_two_documents(
    question: Question, found: Neighbors, codes: Array, options: SearchOptions = SearchOptions()
) -> NearestOfTwoDocuments:
    """The input of a document jackknife from the rows of one prefix, searched among themselves.

    Args:
        question: one prefix, without `queries`; its `codes` may exclude rows of the query's own document.
        found: its answer, of any k.
        codes: (n,) int64 document of every row of the set.
    """
    documents = Documents(codes[found.rows], int(codes.max(initial=-1)) + 1)
    lists = NeighborLists.of_answer(found.rows, found.distances, found.ids, documents)
    nearest, short = NearestOfTwoDocuments.from_lists(lists)
    own = codes[found.rows[short]] == nearest.document[short]
    if own.sum() > _MANY * len(found.rows):
        (of_others,), _ = exact_neighbors(replace(question, k=1, codes=codes), options)
        nearest = nearest.with_second(short[own], of_others.distances[short[own], 0])
        short = short[~own]
    return nearest.with_second(short, _second(question, found.rows[short], nearest.document[short], codes, options))


def _second(question: Question, rows: Array, nearest: Array, codes: Array, options: SearchOptions) -> Array:
    """(s,) distance of each row to the nearest admissible row of another document than `nearest`; inf where none is."""
    distances, k = np.full(len(rows), np.inf), 2
    waiting = np.arange(len(rows))
    while len(waiting):
        of_rows = rows[waiting]
        queries = StoredRows(question.database.take(torch.from_numpy(of_rows)).numpy())
        asked = replace(question, k=k, codes=codes, queries=queries, query_codes=nearest[waiting])
        (answer,), _ = exact_neighbors(asked, options)
        admissible = (answer.ids >= 0) & (answer.ids != of_rows[:, None])
        if question.codes is not None:
            admissible &= question.codes[answer.ids] != question.codes[of_rows][:, None]
        first = admissible.argmax(axis=1)
        done = admissible.any(axis=1)
        distances[waiting[done]] = answer.distances[done, first[done]]
        waiting = waiting[~done & (answer.ids[:, -1] >= 0)]
        k = max(_LONGEST, 4 * k)
    return distances
