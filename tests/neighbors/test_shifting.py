"""The shift of rounded products makes near pairs' bounds sharp, and none makes them wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD, gaussian, near_duplicates
from tests.neighbors.engines import assert_equals_reference
from tests.neighbors.test_bounds import all_bounds, true_distances
from workers.neighbors import shifting
from workers.neighbors.encoding import Encoding
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.shifting import shifted
from workers.neighbors.stored import StoredRows

Array = np.ndarray
BFLOAT16 = SearchOptions(format=torch.bfloat16)


def prepared(rows: Array, *, shift: float | None = None, form: torch.dtype = torch.bfloat16) -> Search:
    """A search with the measured or with another shift."""
    search, _ = prepare_search(Question.of_all_rows(StoredRows(rows)), replace(BFLOAT16, format=form))
    if shift is None:
        return search
    side = replace(search.database, encoding=replace(search.database.encoding, shift=shift))
    return replace(search, queries=side, database=side)


def nearest_half_sq(rows: Array, search: Search) -> Array:
    true = true_distances(rows, search)
    np.fill_diagonal(true, np.inf)
    return (true.min(axis=1).astype(float)) ** 2 / 2


@pytest.mark.parametrize("shift", [0.0, 2.0**-10, 2.0**-5, 0.25, 1.0, 2.0])
@pytest.mark.parametrize("make", [gaussian, near_duplicates])
def test_every_pair_lies_within_its_bounds(make: Callable[[], Array], shift: float):
    """Also below the shift, where products are negative and have the reverse of their order."""
    rows = make()[:200]
    search, n = prepared(rows, shift=shift), len(rows)
    true = true_distances(rows, search)
    np.fill_diagonal(true, np.inf)
    lowers, uppers = all_bounds(search, n)
    assert (lowers <= true).all()
    for block in range(-(-n // BLOCK)):
        nearest = true[:, block * BLOCK : (block + 1) * BLOCK].min(axis=1)
        assert (uppers[:, block] >= nearest).all()


@pytest.mark.parametrize("margin", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_the_answer_does_not_depend_on_the_shift(
    make: Callable[[], Array], margin: float, monkeypatch: pytest.MonkeyPatch
):
    """With a margin of 8 most pairs are below it."""
    monkeypatch.setattr(shifting, "_MARGIN", margin)
    rows = make()[:300]
    (found,), _ = exact_neighbors(Question.of_all_rows(StoredRows(rows), 3), BFLOAT16)
    assert_equals_reference(found, rows, 3, None)


def test_the_bounds_of_near_pairs_are_sharper_by_it(monkeypatch: pytest.MonkeyPatch):
    rows = np.random.default_rng(0).standard_normal((2000, 512), dtype=np.float32)
    question = Question.of_all_rows(StoredRows(rows))
    more = exact_neighbors(question, BFLOAT16)[1].candidates - len(rows)
    monkeypatch.setattr(shifting, "_MARGIN", 0.0)
    assert exact_neighbors(question, BFLOAT16)[1].candidates - len(rows) > 1.4 * more


def test_it_is_below_almost_all_nearest_pairs():
    rows = np.random.default_rng(0).standard_normal((3000, 64), dtype=np.float32)
    search = prepared(rows)
    shift, nearest = search.database.encoding.shift, nearest_half_sq(rows, search)
    assert (nearest < shift).mean() < 1 / 16
    assert shift > 0.5 * np.quantile(nearest, 1 / 16)
    assert shift == float(torch.tensor(shift).bfloat16())


def test_duplicates_do_not_lower_it():
    rows = np.random.default_rng(0).standard_normal((1500, 64), dtype=np.float32)
    alone = prepared(rows).database.encoding.shift
    twice = prepared(np.concatenate([rows, rows])).database.encoding.shift
    assert 0.8 * alone < twice < 1.25 * alone


def test_products_that_are_not_rounded_have_none():
    rows = gaussian()[:200]
    for form in (torch.float32, torch.float16):
        assert prepared(rows, form=form).database.encoding.shift == 0
    strips = prepare_search(Question.of_all_rows(StoredRows(rows)), replace(BFLOAT16, strips=True))[0]
    assert strips.database.encoding.shift == 0


def test_rows_that_are_all_equal_have_none():
    assert prepared(np.ones((200, 8), dtype=np.float32)).database.encoding.shift == 0


def test_a_search_that_has_no_memory_for_the_measurement_goes_without(monkeypatch: pytest.MonkeyPatch):
    search = prepared(gaussian()[:200], shift=0.0)

    def no_memory(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Encoding, "product", no_memory)
    assert shifted(search) is search

    def broken(*_: object) -> torch.Tensor:
        raise ZeroDivisionError

    monkeypatch.setattr(Encoding, "product", broken)
    with pytest.raises(ZeroDivisionError):
        shifted(search)
