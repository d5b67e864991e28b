"""Answers of nested prefixes from the lists of the whole: those of a search of every prefix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workers.neighbors.exact import exact_neighbors
from workers.neighbors.nested import nested_answers
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
N, D = 400, 8


def rows(n: int = N, seed: int = 0) -> StoredRows:
    """Normal rows, each fifth one a copy of another: pairs at equal distances."""
    found = np.random.Generator(np.random.PCG64(seed)).standard_normal((n, D), dtype=np.float32)
    found[::5] = found[1::5]
    return StoredRows(found)


def asked(k: int = 1, fractions: tuple[float, ...] = (0.02, 0.25, 0.5, 1.0), **more: object) -> Question:
    question = Question(rows(), seeded_permutation(N, 3), prefix_sizes(N, list(fractions)), k)
    return replace(question, **more)


CODES = np.arange(N) // 40
QUESTIONS = {
    "one neighbour": asked(),
    "several": asked(k=4),
    "documents": asked(k=2, codes=CODES),
    "another set": asked(k=3, queries=rows(90, 1)),
    "another set of some documents": asked(k=2, codes=CODES, queries=rows(90, 1), query_codes=np.arange(90) // 10),
    "prefixes of no and of one row": asked(fractions=(0.0001, 0.0026, 1.0)),
}


@pytest.mark.parametrize("length", [4, 64])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
def test_the_lists_of_the_whole_give_every_prefix(question: Question, length: int):
    (whole,), _ = exact_neighbors(replace(question, sizes=question.sizes[-1:], k=length))
    expected, _ = exact_neighbors(question)
    for found, answer in zip(nested_answers(question, whole), expected, strict=True):
        assert (found.rows == answer.rows).all()
        assert (found.ids == answer.ids).all()
        assert (found.distances == answer.distances).all()
        assert found.certified == 1.0


def test_the_lists_of_the_whole_give_any_subset():
    (whole,), _ = exact_neighbors(asked(k=64, fractions=(1.0,)))
    some = np.flatnonzero(np.arange(N) % 3 == 1)
    question = replace(asked(k=2), permutation=some, sizes=[20, len(some)])
    expected, _ = exact_neighbors(question)
    for found, answer in zip(nested_answers(question, whole), expected, strict=True):
        assert (found.rows == answer.rows).all()
        assert (found.ids == answer.ids).all()
        assert (found.distances == answer.distances).all()
