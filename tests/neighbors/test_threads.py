"""Tiles in several threads: all are run once, errors end the work, and torch's own threads are left as they were."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import exact_duplicates, long_rows, near_duplicates
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.neighbors.threads import in_threads, threads_on

Array = np.ndarray
CPU = torch.device("cpu")


@pytest.fixture(params=[1, 4])
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_task_is_run_once_with_its_share_of_the_cores(cores: int):
    seen: list[tuple[str, int]] = []

    def run(task: int) -> int:
        seen.append((threading.current_thread().name, torch.get_num_threads()))
        time.sleep(0.01)
        return task

    assert sorted(in_threads(range(20), run, threads_on(CPU))) == list(range(20))
    assert len({name for name, _ in seen}) == cores
    assert {share for _, share in seen} == {1}
    assert torch.get_num_threads() == cores


def slowly(begun: list[int]) -> Callable[[int], int]:
    """A task that notes that it has begun."""

    def run(task: int) -> int:
        begun.append(task)
        time.sleep(0.01)
        return task

    return run


def test_the_first_error_leaves_out_what_has_not_begun(cores: int):
    begun: list[int] = []
    slow = slowly(begun)

    def run(task: int) -> None:
        if slow(task) == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"), closing(in_threads(range(1000), run, threads_on(CPU))) as ended:
        list(ended)
    assert len(begun) < 100
    assert torch.get_num_threads() == cores


def test_who_stops_asking_leaves_out_the_rest(cores: int):
    begun: list[int] = []
    with closing(in_threads(range(1000), slowly(begun), threads_on(CPU))) as ended:
        next(ended)
    assert len(begun) < 100
    assert torch.get_num_threads() == cores


def test_a_gpu_has_one_thread():
    assert threads_on(torch.device("cuda")) == 1


def test_progress_is_told_in_the_thread_that_asked(cores: int):
    threads: set[int] = set()
    shares: list[float] = []

    def tick(share: float) -> None:
        threads.add(threading.get_ident())
        shares.append(share)

    question = Question.of_all_rows(StoredRows(near_duplicates()))
    exact_neighbors(question, SearchOptions(tile=64), tick)
    count_within(question, [20.0], SearchOptions(tile=64), tick=tick)
    assert threads == {threading.get_ident()}
    assert shares.count(1.0) == 2
    assert len(shares) == 110


@pytest.mark.parametrize("make", [near_duplicates, exact_duplicates, long_rows], ids=lambda make: make.__name__)
@pytest.mark.parametrize("k", [1, 5])
def test_the_answer_of_many_threads_has_the_bits_of_one(make: Callable[[], Array], k: int):
    rows = make()
    question = Question(StoredRows(rows), seeded_permutation(len(rows), 2), prefix_sizes(len(rows), (0.3, 1.0)), k)
    radii = np.linspace(0.01, 30, 5)
    before = torch.get_num_threads()
    found = []
    try:
        for cores in (1, 8, 8, 3):
            torch.set_num_threads(cores)
            nearest, _ = exact_neighbors(question, SearchOptions(tile=64))
            found.append((nearest, count_within(question, radii, SearchOptions(tile=64))))
    finally:
        torch.set_num_threads(before)
    (first, counts), *others = found
    for nearest, counted in others:
        assert (counted == counts).all()
        for a, b in zip(first, nearest, strict=True):
            assert (a.distances == b.distances).all()
            assert (a.ids == b.ids).all()
