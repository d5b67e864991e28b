"""Every exact engine, called alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.neighbors.datasets import exact_duplicates, gaussian, near_duplicates
from workers.neighbors.answers import AnswerLists, Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.faiss_index import build_flat
from workers.neighbors.faiss_search import faiss_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.pairs import Pairs
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.reference import nearest_reference
from workers.neighbors.rescoring import pair_distances
from workers.neighbors.search import Search
from workers.neighbors.stored import StoredRows

Array = np.ndarray
Engine = Callable[..., list[Neighbors]]
Sizes = Sequence[int]
LEVEL_ROWS = {"gaussian": gaussian()[:300], "near": near_duplicates()[:300] + 1e3, "equal": exact_duplicates()[:300]}
FRACTIONS = (0.25, 0.5, 0.75, 1.0)


def bfloat16(rows: Array, order: Array, sizes: Sizes, *, k: int = 1, codes: Array | None = None) -> list[Neighbors]:
    return exact_neighbors(Question(StoredRows(rows), order, sizes, k, codes), SearchOptions(format=torch.bfloat16))[0]


def float32(rows: Array, order: Array, sizes: Sizes, *, k: int = 1, codes: Array | None = None) -> list[Neighbors]:
    return exact_neighbors(Question(StoredRows(rows), order, sizes, k, codes), SearchOptions(format=torch.float32))[0]


def small_tiles(rows: Array, order: Array, sizes: Sizes, *, k: int = 1, codes: Array | None = None) -> list[Neighbors]:
    """Many tiles, encoded whenever they are needed."""
    options = SearchOptions(format=torch.bfloat16, tile=64, resident=False)
    return exact_neighbors(Question(StoredRows(rows), order, sizes, k, codes), options)[0]


def faiss_flat(rows: Array, order: Array, sizes: Sizes, *, k: int = 1, codes: Array | None = None) -> list[Neighbors]:
    stored = StoredRows(rows)
    return faiss_neighbors("faiss-flat", Question(stored, order, sizes, k, codes), build_flat(stored))[0]


EXACT: list[Engine] = [bfloat16, float32, small_tiles, faiss_flat]


@dataclass(frozen=True)
class ByContent:
    """An array that equals those of the same numbers, so that what is slowly computed from it is computed once."""

    array: Array

    def __hash__(self) -> int:
        return hash(self.array.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByContent) and np.array_equal(self.array, other.array)


@lru_cache(maxsize=256)
def _nearest(rows: ByContent, k: int, codes: ByContent | None) -> tuple[Array, Array]:
    """What every engine is compared with."""
    return nearest_reference(rows.array, k, None if codes is None else codes.array)


def search(
    rows: Array, *, engine: Engine = bfloat16, k: int = 1, codes: Array | None = None, seed: int = 1
) -> list[Neighbors]:
    """The neighbours in 25, 50, 75 and 100 % of the rows."""
    order = seeded_permutation(len(rows), seed)
    return engine(rows, order, prefix_sizes(len(rows), FRACTIONS), k=k, codes=codes)


def assert_equals_reference(found: Neighbors, rows: Array, k: int, codes: Array | None) -> None:
    """Distances to 1e-12 relative (1e-6 is promised), ids up to ties."""
    distances, ids = _nearest(ByContent(rows[found.rows]), k, None if codes is None else ByContent(codes[found.rows]))
    ids = np.where(ids >= 0, found.rows[ids], -1)
    there = np.isfinite(distances)
    assert (np.isfinite(found.distances) == there).all()
    np.testing.assert_allclose(found.distances[there], distances[there], rtol=1e-12, atol=0)
    tied = there & np.isclose(found.distances, distances, rtol=1e-12, atol=0)
    assert ((found.ids == ids) | tied).all()
    assert (found.ids[~there] == -1).all()
    assert found.certified == 1.0
    for row, others in zip(found.rows, found.ids, strict=True):
        named = others[others >= 0]
        assert row not in named
        assert len(set(named)) == len(named)


def assert_a_level_finds(find: Callable[[Search, Tensor], Pairs], rows: Array, k: int, codes: Array | None) -> None:
    """A level finds the k nearest of every query slot in three nested prefixes, in a search by bfloat16."""
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 0), [50, 130, len(rows)], k, codes)
    prepared, _ = prepare_search(question, SearchOptions(format=torch.bfloat16))
    ids = prepared.database.layout.ids
    lists = AnswerLists(ids, ids, question.prefix_queries, k)
    lists.put(find(prepared, torch.nonzero(ids >= 0)[:, 0]))
    for part in lists.neighbors():
        assert_equals_reference(part, rows, k, codes)


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of pairs that `rescoring.pair_distances` measures from now on, one for each call."""
    measured: list[int] = []

    def counted(*given: object) -> torch.Tensor:
        found = pair_distances(*given)  # type: ignore[arg-type]
        measured.append(len(found))
        return found

    monkeypatch.setattr("workers.neighbors.rescoring.pair_distances", counted)
    return measured
