"""The bounds are the proved formulas: not smaller, and not larger by more than their own rounding.

Data rarely reach the worst case of a rounding bound, so that a bound of half the size would pass most searches.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import HARD, gaussian
from workers.neighbors.certificate import float32_bound, float64_bound
from workers.neighbors.encoding import ABSENT, Encoding, choose_encoding
from workers.neighbors.float64_tile import Float64Tile
from workers.neighbors.layout import BLOCK
from workers.neighbors.options import SearchOptions
from workers.neighbors.preparing import prepare_search
from workers.neighbors.question import Question
from workers.neighbors.search import Search
from workers.neighbors.stored import StoredRows
from workers.neighbors.tile import Tiles
from workers.neighbors.tile_bounds import TileBounds

Array = np.ndarray
CPU = torch.device("cpu")
FORMATS = [torch.float16, torch.bfloat16, torch.float32]
SPARE = 1e-4  # relative: the float32 rounding of the bounds themselves


def gamma(terms: int, unit: float) -> float:
    """Higham's γ_n = n u / (1 − n u)."""
    return terms * unit / (1 - terms * unit)


def prepared(dtype: torch.dtype, rows: Array | None = None) -> Search:
    rows = gaussian()[:200, :60] if rows is None else rows
    return prepare_search(Question.of_all_rows(StoredRows(rows)), SearchOptions(format=dtype, tile=1024))[0]


@pytest.mark.parametrize("d", [1, 64, 2**20])
def test_gamma_of_a_float32_or_float64_filter(d: int):
    for bound, unit in ((float32_bound(d), 2.0**-24), (float64_bound(d), 2.0**-53)):
        assert 1.005 * gamma(d + 4, unit) <= bound.gamma <= 1.02 * gamma(d + 4, unit)
    assert float32_bound(d).underflow == 2.0**-100
    assert float64_bound(d).underflow == 2.0**-1000


def test_more_dimensions_than_a_format_can_add_have_no_bound():
    assert math.isinf(float32_bound(2**23 - 4).gamma)
    assert math.isfinite(float32_bound(2**23 - 5).gamma)


def test_the_lower_bound_of_a_filter_distance():
    bound, filtered_sq, norms = float32_bound(64), np.asarray([1.0, 1e-3, 1e-9]), np.asarray([2.0, 0.5, 1.0])
    slack = gamma(68, 2.0**-24) * norms**2
    exact = np.sqrt(np.maximum(filtered_sq - slack, 0)) - 2.0**-24 * norms
    found = bound.lower(filtered_sq, norms)
    assert (found <= exact).all()
    assert (found >= exact - 0.02 * (slack / np.sqrt(filtered_sq) + 2.0**-24 * norms)).all()
    assert bound.lower(np.asarray([bound.underflow]), np.zeros(1)) == 0
    lost = 1 - bound.lower(np.asarray([1.0]), np.asarray([1e-4]))[0]  # by rounding the vectors alone
    assert 2.0**-24 * 1e-4 <= lost <= 1.05 * 2.0**-24 * 1e-4


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_gamma_of_an_encoding(dtype: torch.dtype):
    for d in (5, 64, 700):
        encoding = Encoding(d, dtype, torch.arange(3) if dtype != torch.float32 else torch.arange(0), CPU)
        terms = 2 * (encoding.columns + 8)
        assert 1.005 * gamma(terms, 2.0**-24) <= encoding.gamma <= 1.02 * gamma(terms, 2.0**-24)
        assert encoding.columns * dtype.itemsize % 64 == 0
        used = d + 3 * len(encoding.split) + 2 * (1 if dtype == torch.float32 else 3)
        assert used <= encoding.columns < used + 32


def test_relative_and_absolute_rounding_of_products():
    """bfloat16 keeps 8 bits: a relative error of 2⁻⁸ at most; float16 has no number below 2⁻²⁴."""
    relative = {dtype: Encoding(8, dtype, torch.arange(0), CPU).relative for dtype in FORMATS}
    assert relative[torch.float16] == relative[torch.float32] == 0
    assert 2.0**-8 <= relative[torch.bfloat16] <= 1.02 * 2.0**-8
    absolute = {dtype: Encoding(8, dtype, torch.arange(0), CPU).absolute for dtype in FORMATS}
    assert absolute[torch.float16] == 2.0**-23
    assert absolute[torch.bfloat16] == absolute[torch.float32] == 2.0**-100


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_norms_and_errors_of_encoded_rows(make, dtype: torch.dtype):
    search = prepared(dtype, make()[:150])
    side = search.database
    full = side.layout.ids >= 0
    ids, encoding = side.layout.ids[full], side.encoding
    exact = (side.rows.stored.take(ids).double() - side.rows.centre.double()).numpy().astype(np.longdouble)
    exact *= side.rows.scale
    columns = side.right(slice(0, side.layout.slots))[full].double().numpy().astype(np.longdouble)
    represented = columns[:, : encoding.d].copy()
    split = encoding.split.numpy()
    represented[:, split] += columns[:, encoding.d : encoding.d + len(split)]
    norms = np.sqrt((exact**2).sum(axis=1))
    errors = np.sqrt(((exact - represented) ** 2).sum(axis=1))
    found_norms, found_errors = side.norms[full].numpy(), side.errors[full].numpy()
    assert (found_errors >= errors).all()
    assert (found_errors <= errors * 1.001 + 2.0**-20 * norms + 1e-29).all()
    assert (found_norms >= np.maximum(norms, np.sqrt((represented**2).sum(axis=1)))).all()
    assert (found_norms <= norms * 1.001 + 2 * found_errors).all()
    assert (side.norms[~full] == 0).all()
    assert (side.errors[~full] == 0).all()


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_the_product_of_two_panels_is_half_the_squared_distance(dtype: torch.dtype):
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.standard_normal((70, 40)).astype(np.float32) / 16)
    rows[:, 7] *= 20  # kept in two parts by the 16-bit formats
    encoding = choose_encoding(rows, dtype, CPU)
    assert len(encoding.split) == (0 if dtype == torch.float32 else 1)
    present = torch.arange(70) != 3
    right = encoding.encode(rows, present).matrix.double()
    product = encoding.left(encoding.encode(rows, present).matrix).double() @ right.T
    represented = right[:, : encoding.d].clone()
    represented[:, encoding.split] += right[:, encoding.d : encoding.d + len(encoding.split)]
    half_sq = torch.cdist(represented, represented, compute_mode="donot_use_mm_for_euclid_dist").square() / 2
    spare = 2.0**-23 * represented.square().sum(dim=1).max()  # the last part of ½‖x'‖² is rounded
    pairs = present[:, None] & present
    assert ((product - half_sq).abs() <= spare)[pairs].all()
    assert (product[~pairs] >= ABSENT).all()
    assert (encoding.empty_row() == encoding.encode(rows, present).matrix[3]).all()


def test_rows_at_the_centre_have_the_absolute_bound_alone():
    """It matters in float16, whose smallest numbers are not far below the distances."""
    search = prepared(torch.bfloat16)
    whole = slice(0, search.database.layout.slots)
    bounds, zero = TileBounds(search, torch.arange(whole.stop), whole), torch.zeros(1, dtype=torch.float64)
    bounds.encoding = replace(search.database.encoding, dtype=torch.float16, shift=0.0)
    assert bounds._slack_sq(zero, zero).tolist() == [2 * 2.0**-23]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_bounds_of_a_tile_are_the_formula(dtype: torch.dtype):
    search = prepared(dtype)
    slots = search.database.layout.slots
    whole = slice(0, slots)
    encoding, side = search.database.encoding, search.database
    bounds = TileBounds(search, torch.arange(whole.stop), whole)
    rng = np.random.default_rng(0)
    rows, columns = (torch.from_numpy(rng.integers(0, 190, 500)) for _ in range(2))
    values = torch.from_numpy(10.0 ** rng.uniform(-10, 0.3, 500)).float()
    norms, errors = side.norms.double(), side.errors.double()
    slack_sq = encoding.gamma * (norms[rows] + norms[columns]) ** 2 + 2 * encoding.absolute
    rounding = encoding.relative * (values.double() - encoding.shift).abs()
    assert (encoding.shift > 0) == (dtype == torch.bfloat16)
    inside = (2 * (values.double() - rounding) - slack_sq).clamp(min=0).sqrt()
    exact = inside - errors[rows] - errors[columns]
    found = bounds.lowers(values, rows, columns).double()
    assert (found >= 0).all()
    assert (found <= exact.clamp(min=0)).all()
    assert (found >= exact - SPARE * inside - 1e-6).all()
    assert ((found == 0) == (exact <= 0)).double().mean() > 0.99

    blocks = columns // BLOCK
    block_norms, block_errors = (part.view(-1, BLOCK).amax(dim=1)[blocks] for part in (norms, errors))
    slack_sq = encoding.gamma * (norms[rows] + block_norms) ** 2 + 2 * encoding.absolute
    exact = (2 * (values.double() + rounding) + slack_sq).sqrt() + errors[rows] + block_errors
    table, numbers = torch.full((slots, slots // BLOCK), ABSENT), torch.arange(slots // BLOCK)
    table[rows, blocks] = values
    found = bounds.uppers(table, numbers.expand(slots, -1)).double()
    assert (found[table >= ABSENT] == torch.inf).all()
    last = table[rows, blocks] == values  # a cell that was drawn twice holds the last value
    assert (found[rows, blocks] >= exact)[last].all()
    assert (found[rows, blocks] <= exact * (1 + SPARE))[last].all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_products_below_the_largest_value_are_those_whose_lower_bound_is_within_the_limit(dtype: torch.dtype):
    search = prepared(dtype)
    whole = slice(0, search.database.layout.slots)
    bounds, tile = TileBounds(search, torch.arange(whole.stop), whole), Tiles(search).tile(whole, whole)
    minima = tile.along_rows()
    blocks = minima.shape[1]
    for limit in (0.0, 0.2, 0.5, 1.0, 1.5):
        largest = bounds.largest_values(torch.full((len(minima),), limit), slice(0, blocks))
        rows = torch.arange(180).repeat_interleave(blocks)
        columns = torch.arange(blocks).repeat(180) * BLOCK
        worst = columns + search.database.norms.view(-1, BLOCK).argmax(dim=1).repeat(180)
        at = largest[rows, columns // BLOCK]
        of_block = search.database.block_errors[columns // BLOCK] - search.database.errors[worst]
        shift = search.database.encoding.shift
        within = bounds.lowers(at * (1 + 1e-6), rows, worst) <= limit + of_block + SPARE
        assert (within | (at == shift)).all()  # those below the shift have no order
        assert (at >= shift).all()
        just_above = bounds.lowers(at * (1 + 3 * SPARE) + 1e-12, rows, worst)
        errors = search.database.errors
        spare = 2 * errors.max() - errors[rows] - errors[worst]
        assert (just_above + spare + SPARE >= limit).all()
    none = bounds.largest_values(torch.full((len(minima),), -1.0), slice(0, blocks))
    assert (none == -torch.inf).all()


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_no_pair_within_the_limit_has_a_product_above_the_largest_value(dtype: torch.dtype):
    """Norms and errors of all sizes, the same within a block, so that the bound of a block is that of its pairs."""
    rng = np.random.default_rng(0)
    search = prepared(dtype, rng.standard_normal((6400, 8)).astype(np.float32))
    side = search.database
    slots = side.layout.slots
    blocks = slots // BLOCK
    scales = torch.from_numpy(10.0 ** rng.uniform(-6, 0, (2, blocks))).float().repeat_interleave(BLOCK, dim=1)
    side.norms, side.errors = scales[0], scales[1] / 100
    panel = slice(0, 64 * BLOCK)
    bounds = TileBounds(search, torch.arange(panel.start, panel.stop), slice(0, slots))
    rows, columns = torch.arange(panel.stop), torch.arange(blocks) * BLOCK
    limits = torch.from_numpy(10.0 ** rng.uniform(-6, 0.3, panel.stop)).float()
    limits[:50] = 0
    above = torch.nextafter(bounds.largest_values(limits, slice(0, blocks)), torch.tensor(torch.inf))
    lowers = bounds.lowers(above.flatten(), rows.repeat_interleave(blocks), columns.repeat(len(rows)))
    assert (lowers.view(-1, blocks) > limits[:, None]).all()


def test_bounds_of_a_float64_tile_are_the_formula():
    rows = gaussian()[:100, :60].astype(np.float64)
    search = prepared(torch.float32, rows)
    database = search.database
    rows = rows[database.layout.ids[:100]]  # in the order of the slots
    slots, centre = torch.arange(database.layout.slots), torch.zeros(60, dtype=torch.float64)
    own_slots = torch.arange(7, 20)
    own = database.rows.take_float64(database.layout.ids[own_slots], centre)
    tile = Float64Tile(search, own_slots, own, centre, slots)
    lowers, uppers = (part.numpy() for part in tile.bounds())
    assert (tile.columns == slots[:100]).all()
    exact = np.stack([np.sqrt(((rows.astype(np.longdouble) - row) ** 2).sum(axis=1)) for row in rows[7:20]])
    exact *= database.rows.scale
    norms = np.linalg.norm(rows, axis=1) * database.rows.scale
    norms_sum = norms[7:20, None] + norms
    same = np.arange(7, 20)[:, None] == np.arange(100)
    assert np.isinf(lowers[same]).all()
    assert np.isinf(uppers[same]).all()
    assert (lowers <= exact)[~same].all()
    assert (uppers >= exact)[~same].all()
    width = gamma(64, 2.0**-53) * norms_sum**2 / exact.astype(np.float64).clip(1e-300) + 8 * 2.0**-53 * norms_sum
    gap = uppers[~same] - lowers[~same]
    assert (gap <= 1.05 * width[~same]).all()
    assert (gap >= 0.95 * width[~same]).all()
