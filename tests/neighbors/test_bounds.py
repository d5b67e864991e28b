"""The filter's bounds hold for every pair, and bounds too small by half would be caught."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD
from tests.neighbors.engines import ByContent
from workers.neighbors.encoding import ABSENT, Encoding
from workers.neighbors.filtering import pairs_below
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.stored import StoredRows
from workers.neighbors.tile import Tiles
from workers.neighbors.tile_bounds import TileBounds

Array = np.ndarray
FORMATS = [torch.bfloat16, torch.float32]


def prepared(rows: Array, dtype: torch.dtype) -> Search:
    return prepare_search(Question.of_all_rows(StoredRows(rows)), SearchOptions(format=dtype, tile=1024))[0]


def true_distances(rows: Array, search: Search) -> Array:
    """(n, n) distances in the order of the slots, times the search's scale."""
    order = search.database.layout.ids[: len(rows)].numpy()
    return _distances(ByContent(rows))[np.ix_(order, order)] * search.database.rows.scale


@lru_cache
def _distances(rows: ByContent) -> Array:
    exact = rows.array.astype(np.longdouble)
    return np.stack([np.sqrt(((exact - row) ** 2).sum(axis=1)) for row in exact])


def all_bounds(search: Search, n: int) -> tuple[Array, Array]:
    """(n, n) lower bounds of all pairs, and (n, blocks) upper bounds of the nearest of each block."""
    slots = search.database.layout.slots
    whole = slice(0, slots)
    tile = Tiles(search).tile(whole, whole)
    bounds = TileBounds(search, torch.arange(whole.stop), whole)
    minima = tile.along_rows()
    blocks = torch.arange(minima.shape[1]).expand_as(minima)
    rows, block = (
        grid.flatten() for grid in torch.meshgrid(torch.arange(slots), torch.arange(len(minima[0])), indexing="ij")
    )
    cells = tile.cells_of_rows(rows, block)
    at, columns = rows.repeat_interleave(BLOCK), (block[:, None] * BLOCK + torch.arange(BLOCK)).flatten()
    lowers = bounds.lowers(cells.flatten(), at, columns).view(slots, -1)
    lowers[(cells >= ABSENT).view(slots, -1)] = 0
    return lowers.numpy()[:n, :n], bounds.uppers(minima, blocks).numpy()[:n]


def violations(rows: Array, dtype: torch.dtype) -> int:
    """Pairs and blocks whose bound is on the wrong side of the truth."""
    search, n = prepared(rows, dtype), len(rows)
    true = true_distances(rows, search)
    lowers, uppers = all_bounds(search, n)
    np.fill_diagonal(true, np.inf)
    wrong = int((lowers > true).sum())
    for block in range(-(-n // BLOCK)):
        nearest = true[:, block * BLOCK : (block + 1) * BLOCK].min(axis=1)
        wrong += int((uppers[:, block] < nearest).sum())
    return wrong


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_every_pair_lies_within_its_bounds(make: Callable[[], Array], dtype: torch.dtype):
    assert violations(make()[:300], dtype) == 0


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_no_pair_within_the_limit_is_passed_over(make: Callable[[], Array], dtype: torch.dtype):
    rows = make()[:300]
    search = prepared(rows, dtype)
    true = true_distances(rows, search)
    np.fill_diagonal(true, np.inf)
    limit = float(np.nextafter(np.float32(np.quantile(true[np.isfinite(true)], 0.1)), np.float32(np.inf)))
    slots = search.database.layout.slots
    whole = slice(0, slots)
    tile = Tiles(search).tile(whole, whole)
    bounds, minima = TileBounds(search, torch.arange(whole.stop), whole), tile.along_rows()
    found = pairs_below(
        bounds, bounds.rows, minima, tile.cells_of_rows, torch.full((slots,), limit), slice(0, len(minima[0]))
    )
    named = {pair for rows_, columns, _ in found for pair in zip(rows_.tolist(), columns.tolist(), strict=True)}
    wanted = set(zip(*(axis.tolist() for axis in np.nonzero(true <= limit)), strict=True))
    assert wanted <= named


def rounding_that_adds_up(d: int = 64) -> Array:
    """Pairs of rows whose bfloat16 errors all point the same way: nearly ex + ey is lost of their distance.

    Elements lie just inside the midpoint between two bfloat16 numbers. In the first pairs rounding moves x down and y
    up, apart; in the others x up and y down, onto each other.
    """
    rng = np.random.default_rng(0)
    step = 2.0**-7
    base = 1 + step * rng.integers(0, 60, (75, d))
    sign = np.where(rng.integers(0, 2, (75, d)) == 1, 1.0, -1.0)
    x, y = base + 0.499 * step, base + 1.501 * step
    rows = np.concatenate([sign * x, sign * y, sign * (base + 0.501 * step), sign * (base + 1.499 * step)])
    return np.concatenate([rows, -rows])[:300].astype(np.float32)  # symmetric about 0, so that centring moves little


def rounding_of_products() -> Array:
    """Two dimensions that are exact in bfloat16; half squared distances at midpoints of its numbers."""
    steps = np.arange(0, 150)
    return np.stack([steps * 2.0**-6, np.zeros(150)], axis=1).astype(np.float32)


def test_errors_that_add_up_come_near_the_bound():
    assert violations(rounding_that_adds_up(), torch.bfloat16) == 0


def test_half_of_the_rows_errors_would_be_caught(monkeypatch: pytest.MonkeyPatch):
    complete = Encoding.complete
    monkeypatch.setattr("workers.neighbors.stored.robust_centre", lambda rows, ids: torch.zeros(rows.d).double())

    def halved(self: Encoding, *given: torch.Tensor):
        panel = complete(self, *given)
        return dataclasses.replace(panel, errors=panel.errors / 2)

    assert violations(rounding_that_adds_up(), torch.bfloat16) == 0
    monkeypatch.setattr(Encoding, "complete", halved)
    assert violations(rounding_that_adds_up(), torch.bfloat16) > 0


def test_half_of_the_products_rounding_would_be_caught(monkeypatch: pytest.MonkeyPatch):
    rows = rounding_of_products()
    monkeypatch.setattr("workers.neighbors.encoding._UNIT_FLOAT32", 2.0**-40)  # these sums are exact
    assert violations(rows, torch.bfloat16) == 0
    relative = Encoding.relative.fget
    assert relative is not None
    monkeypatch.setattr(Encoding, "relative", property(lambda encoding: relative(encoding) / 2))
    assert violations(rows, torch.bfloat16) > 0
