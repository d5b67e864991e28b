"""The filter of energies: its bounds hold for every pair, and the answer is that without it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from service.theory import energy as reference
from tests.neighbors.datasets import (
    HARD,
    exact_duplicates,
    gaussian,
    huge_scale,
    long_rows,
    near_duplicates,
    tiny_scale,
)
from workers.energy import evaluation
from workers.energy.evaluation import evaluate
from workers.energy.filter import Filter, FilterTile
from workers.energy.patterns import Patterns, prepare_patterns
from workers.energy.query_block import QueryBlock
from workers.neighbors.encoding import Encoding
from workers.neighbors.stored import StoredRows

Array = np.ndarray
BETAS = [1.0, 2.0, 8.0]
EXTREME = (tiny_scale, huge_scale)  # no β that is allowed weighs their rows differently


def patterns_of(rows: Array) -> Patterns:
    return prepare_patterns(StoredRows(rows), precision=torch.float32)


def halves(make: Callable[[], Array]) -> tuple[Array, Array]:
    """Two thirds of the rows as patterns; the others, some patterns, and patterns but for a rounding, as queries."""
    rows = make()
    patterns = rows[np.arange(len(rows)) % 3 > 0]
    near = patterns[:20] * (1 + 2.0**-9)
    return patterns, np.concatenate([rows[::3], patterns[:20], near.astype(rows.dtype)])


def values_of(patterns: Patterns, queries: Array, *, lifted: bool) -> tuple[Array, Array]:
    """The (m, d) true values, scaled, by direct float64 sums, and ‖x‖² + ‖ρ‖² of each pair, in the tiles' order."""
    wide, points = patterns.stored.take(patterns.order).double().numpy(), queries.astype(np.float64)
    centre = patterns.rows.centre.double().numpy()
    at, to = ((part - centre) * patterns.scale for part in (points, wide))
    distances_sq = np.stack([((row - wide) * patterns.scale) ** 2 for row in points]).sum(axis=2)
    own_sq = (patterns.take(patterns.centred(StoredRows(queries)), torch.arange(len(queries))).double() ** 2).sum(dim=1)
    lifts = patterns.lifts[patterns.order].numpy() if lifted else 0.0
    return distances_sq + lifts - own_sq.numpy()[:, None], (at**2).sum(axis=1)[:, None] + (to**2).sum(axis=1)


@pytest.mark.parametrize("lifted", [False, True], ids=["plain", "lifted"])
@pytest.mark.parametrize("make", HARD, ids=lambda make: make.__name__)
def test_the_bounds_hold_for_every_pair(make: Callable[[], Array], lifted: bool):
    rows, queries = halves(make)
    patterns = patterns_of(rows)
    found = Filter.of(patterns)
    assert found is not None
    ids = torch.arange(len(queries))
    narrow = patterns.take(patterns.centred(StoredRows(queries)), ids)
    encoded = found.queries(narrow, (narrow.double() ** 2).sum(dim=1))
    none = torch.full((len(queries),), -1)
    tile = FilterTile(encoded, encoded.products(0, len(found.lifts), none), 0, lifted=lifted)
    true, size = values_of(patterns, queries, lifted=lifted)
    true, size, places = true[:, : found.stop], size[:, : found.stop], len(found.lifts)
    rounding = 1e-14 * size + (1e-14 * float(patterns.lifts.max()) if lifted else 0.0)
    blocks = [slice(start, start + 64) for start in range(0, places, 64)]
    for at, block in enumerate(blocks):
        part, slack = true[:, block], rounding[:, block].max(axis=1)
        assert (tile.lowers[:, at].double().numpy() <= part.min(axis=1) + slack).all()
        assert (tile.uppers[:, at].double().numpy() >= part.min(axis=1) - slack).all()
        values, lowers = tile.cells(ids, torch.full_like(ids, at))
        there = part.shape[1]
        assert (lowers[:, :there].double().numpy() <= part + slack[:, None]).all()
        assert torch.isinf(values[:, there:]).all()


@pytest.mark.parametrize("lifted", [False, True], ids=["plain", "lifted"])
def test_bounds_of_a_later_tile_are_the_formula(lifted: bool):
    """In float64, with the largest norm and error of each block of 64 and, for its minimum, the smallest lift."""
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((400, 16)) * rng.uniform(1, 4, (400, 1)) + 1).astype(np.float32)
    patterns, ids = patterns_of(rows), torch.arange(20)
    found = Filter.of(patterns)
    assert found is not None
    narrow = patterns.take(patterns.rows, ids)
    queries = found.queries(narrow, (narrow.double() ** 2).sum(dim=1))
    start, encoding = 128, found.encoding
    bits = queries.products(start, len(found.lifts), torch.full((20,), -1))
    tile = FilterTile(queries, bits, start, lifted=lifted)
    distances_sq = 2 * bits.view(torch.bfloat16).double().clamp(min=0).view(20, -1, 64)
    lifts = found.lifts[start:].double().view(-1, 64) if lifted else torch.zeros(distances_sq.shape[1:]).double()
    norms, errors = (
        part.double()[:, None] + each[start:].double().view(-1, 64).amax(dim=1)
        for part, each in ((queries.norms, found.panel.norms), (queries.errors, found.panel.errors))
    )

    def error(d_sq: torch.Tensor, n: torch.Tensor, e: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        slack = encoding.relative * d_sq + encoding.gamma * n**2 + 2 * encoding.absolute
        of_sums = patterns.gamma * n**2 + (4 * patterns.unit * value.abs() if lifted else 0.0)
        return slack + 2 * e * (d_sq + slack).sqrt() + e**2 + of_sums

    own_sq = queries.norms_sq.double()[:, None]
    minima = (distances_sq + lifts).amin(dim=2)
    bound = error(minima - lifts.amin(dim=1), norms, errors, minima)
    for ours, true in ((tile.lowers, minima - own_sq - bound), (tile.uppers, minima - own_sq + bound)):
        np.testing.assert_allclose(ours.double(), true, atol=2e-5 * float(bound.max()))
    for block in range(len(lifts)):
        values, lowers = tile.cells(ids, torch.full((20,), block))
        there = distances_sq[:, block] < 1
        true = distances_sq[:, block] + lifts[block] - own_sq
        bound = error(distances_sq[:, block], norms[:, block, None], errors[:, block, None], true)
        near = torch.where(there, true - bound, torch.inf)
        np.testing.assert_allclose(lowers.double(), near, atol=2e-5 * float(bound[there].max()))
        assert torch.equal(torch.isfinite(values), there)


def test_a_tile_examines_the_pairs_whose_product_is_below_zero():
    """Rounding gives a query that is a pattern a product of either sign; the order of negative bits is reversed."""
    rows = near_duplicates()
    patterns = patterns_of(rows)
    found = Filter.of(patterns)
    assert found is not None
    narrow = patterns.take(patterns.rows, patterns.order)
    encoded = found.queries(narrow, (narrow.double() ** 2).sum(dim=1))
    bits = encoded.products(0, len(found.lifts), torch.full((len(rows),), -1))
    assert bool((bits < 0).any())
    tile = FilterTile(encoded, bits, 0, lifted=False)
    own = torch.arange(len(rows))
    assert (tile.lowers[own, own // 64] <= -encoded.norms_sq).all()


@pytest.mark.parametrize("make", [make for make in HARD if make not in EXTREME], ids=lambda make: make.__name__)
def test_filtered_energies_are_the_references(make: Callable[[], Array]):
    rows, queries = halves(make)
    unit = float(np.median(np.linalg.norm(rows - rows.mean(axis=0), axis=1))) or 1.0
    betas = [beta * 30 / unit**2 for beta in BETAS]
    found = evaluate(patterns_of(rows), StoredRows(queries), betas, k=min(3, len(rows)), filtered=True)
    wide, points = rows.astype(np.float64), queries.astype(np.float64)
    g, _ = reference.nearest(wide, points)
    np.testing.assert_allclose(found.g, g, rtol=1e-12)
    for at, beta in enumerate(betas):
        true = reference.energy(wide, points, beta)
        assert (np.abs(found.energy[at] - true) <= found.error[at] + 1e-9 * np.abs(true)).all()
        mchn = reference.energy_mchn(wide, points, beta)
        np.testing.assert_allclose(found.energy_mchn[at], mchn, rtol=1e-6, atol=1e-6 / beta)


def test_long_patterns_and_long_queries_do_not_end_the_filter(monkeypatch: pytest.MonkeyPatch):
    """One row in 32 is 300 times as long: those patterns are multiplied in float32, and those queries again."""
    rows = long_rows().astype(np.float32)
    own = np.arange(len(rows))
    again: list[int] = []

    def counted(found: object, at: Array, *given: object, **options: object) -> None:
        again.append(len(at))
        original(found, at, *given, **options)  # pyright: ignore

    original = evaluation._evaluate_again
    monkeypatch.setattr(evaluation, "_evaluate_again", counted)
    filtered, whole = (
        evaluate(patterns_of(rows), StoredRows(rows), [1.0, 2.0], own=own, filtered=asked) for asked in (True, False)
    )
    assert 0 < again[0] <= len(rows) / 16
    for name in ("ids", "distances"):
        np.testing.assert_array_equal(getattr(filtered, name), getattr(whole, name))
    for name in ("energy", "energy_mchn"):
        np.testing.assert_allclose(getattr(filtered, name), getattr(whole, name), rtol=1e-6)


def test_where_every_pattern_weighs_the_sums_are_those_of_the_float32_products():
    rows = gaussian()
    found = [
        evaluate(patterns_of(rows[:500]), StoredRows(rows[500:]), [1e-4], filtered=asked) for asked in (True, False)
    ]
    for name in ("ids", "distances", "energy", "energy_mchn", "error"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


def test_copies_that_crowd_a_query_are_all_counted():
    rows = np.concatenate([np.repeat(exact_duplicates()[:1], 700, axis=0), gaussian()])
    found = evaluate(patterns_of(rows), StoredRows(rows[695:705]), [1.0], filtered=True)
    true = reference.energy(rows.astype(np.float64), rows[695:705].astype(np.float64))
    np.testing.assert_allclose(found.energy[0], true, atol=1e-5)
    assert found.crowded[:6].all()
    assert not found.crowded[6:].any()


def test_the_share_that_is_done_grows_to_one_where_queries_are_evaluated_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(evaluation._QUERIES, "cpu", 64)
    for rows, betas in ((long_rows().astype(np.float32), [1.0]), (gaussian(), [1e-4])):
        shares: list[float] = []
        evaluate(patterns_of(rows), StoredRows(rows[::2].copy()), betas, filtered=True, tick=shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_patterns_of_which_many_are_long_or_that_are_not_in_memory_are_not_filtered():
    rows = gaussian()
    rows[::3] *= 100
    assert Filter.of(patterns_of(rows)) is None
    assert Filter.of(prepare_patterns(StoredRows(gaussian()), most_bytes=0)) is None
    assert Filter.of(prepare_patterns(StoredRows(gaussian().astype(np.float64)))) is None


def test_a_hundredth_of_the_errors_of_the_rows_would_be_caught(monkeypatch: pytest.MonkeyPatch):
    """The bounds are not so loose that a mistake in them goes unnoticed."""
    complete = Encoding.complete

    def smaller(self: Encoding, *given: torch.Tensor) -> object:
        panel = complete(self, *given)
        return type(panel)(panel.matrix, panel.norms, panel.errors / 100)

    monkeypatch.setattr(Encoding, "complete", smaller)
    with pytest.raises(AssertionError):
        test_the_bounds_hold_for_every_pair(gaussian, lifted=False)


def test_a_filtered_block_says_when_it_gave_up():
    rows = gaussian()
    patterns = patterns_of(rows)
    own = torch.full((64,), -1)
    for betas, whole in (([1.0], True), ([1e-4], False)):
        block = QueryBlock(patterns, patterns.rows, torch.arange(64), betas, True, 1, own, Filter.of(patterns))
        assert block.run(lambda _share: None) is whole
