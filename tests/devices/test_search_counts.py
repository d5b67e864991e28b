"""A search on a pretend GPU: its answer, and how often it launches, waits and copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.devices.kernel import kernel_on
from tests.devices.pretend import DEVICE, PretendGpu
from tests.neighbors.datasets import HARD
from tests.neighbors.engines import FRACTIONS, assert_equals_reference
from workers.neighbors import strip_search
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
N, D, TILE = 3000, 256, 512
OPTIONS = SearchOptions(DEVICE, torch.float16, TILE, fused=True)


@pytest.fixture(scope="module")
def rows() -> Array:
    return np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)


def question(rows: Array, k: int = 1, codes: Array | None = None) -> Question:
    return Question(StoredRows(rows), seeded_permutation(len(rows), 1), prefix_sizes(len(rows), FRACTIONS), k, codes)


# The others are searched by Triton's interpreter too.
SOME = [
    pytest.param(make, marks=[pytest.mark.long] if at % 3 else [], id=make.__name__) for at, make in enumerate(HARD)
]


@pytest.mark.parametrize("make", SOME)
def test_the_answer_is_that_of_the_reference(make: Callable[[], Array]):
    rows = make()
    documents = np.arange(len(rows)) // 7
    with PretendGpu() as gpu, kernel_on(gpu):
        found, work = exact_neighbors(
            question(rows, 2, documents), SearchOptions(DEVICE, torch.float16, 192, fused=True)
        )
    assert work.fused
    for part in found:
        assert_equals_reference(part, rows, 2, documents)


@pytest.mark.parametrize("k", [1, 3])
def test_a_strip_waits_once_and_a_tile_never(rows: Array, k: int):
    waits: list[int] = []
    with PretendGpu() as gpu, kernel_on(gpu):
        exact_neighbors(question(rows, k), OPTIONS, lambda share: waits.append(gpu.waits.total()))
        launched = gpu.launches["append"]
    strips = -(-N // TILE)
    tiles = strips * (strips + 1) // 2
    assert len(waits) == strips
    assert set(np.diff(waits)) == {1}
    assert launched <= 3 * tiles


def test_the_rows_are_copied_to_the_device_once(rows: Array):
    with PretendGpu() as gpu, kernel_on(gpu):
        asked = question(rows)
        exact_neighbors(asked, OPTIONS)
        assert rows.nbytes <= gpu.uploaded < 1.05 * rows.nbytes
        answers = gpu.downloaded
        exact_neighbors(asked, OPTIONS)
        count_within(asked, [20.0], OPTIONS)
        assert gpu.uploaded < 1.15 * rows.nbytes
    assert answers < 64 * N


def test_rows_that_do_not_fit_are_read_as_they_are_needed(rows: Array):
    few = rows[:1000]
    with PretendGpu(memory=few.nbytes) as gpu, kernel_on(gpu):
        found, _ = exact_neighbors(question(few), OPTIONS)
        assert gpu.uploaded > 2 * few.nbytes
    assert_equals_reference(found[-1], few, 1, None)


@pytest.mark.long
def test_a_pool_that_is_too_small_grows_or_the_strip_is_halved(rows: Array, monkeypatch: pytest.MonkeyPatch):
    few = rows[:1500]
    monkeypatch.setattr(strip_search, "_FIRST_PAIRS", 700)
    with PretendGpu() as gpu, kernel_on(gpu):
        grown, _ = exact_neighbors(question(few, 2), OPTIONS)
    monkeypatch.setattr(strip_search, "_POOL_SHARE", 0.0)
    monkeypatch.setattr(strip_search, "_FIRST_PAIRS", 12_000)
    with PretendGpu() as gpu, kernel_on(gpu):
        halved, _ = exact_neighbors(question(few, 2), OPTIONS)
    for a, b in zip(grown, halved, strict=True):
        assert (a.ids == b.ids).all()
        assert (a.distances == b.distances).all()
    assert_equals_reference(grown[-1], few, 2, None)


@pytest.mark.parametrize("radius", [20.0, 22.5, 30.0], ids=["few pairs", "some", "all"])
def test_counts_are_those_of_the_cpu(rows: Array, radius: float):
    few = rows[:1500]
    expected = count_within(question(few), [radius / 2, radius])
    with PretendGpu() as gpu, kernel_on(gpu):
        assert (count_within(question(few), [radius / 2, radius], OPTIONS) == expected).all()


def test_a_float32_search_and_one_without_the_kernel_give_the_same(rows: Array):
    few = rows[:1500]
    expected, _ = exact_neighbors(question(few))
    with PretendGpu(capability=(7, 5)):
        for options in (SearchOptions(DEVICE, torch.float32, TILE), SearchOptions(DEVICE, tile=TILE)):
            found, work = exact_neighbors(question(few), options)
            assert not work.fused
            for a, b in zip(found, expected, strict=True):
                assert (a.ids == b.ids).all()
                np.testing.assert_allclose(a.distances, b.distances, rtol=1e-14)
