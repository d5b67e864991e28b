"""The streamed energies against the float64 reference, over shapes, scales, offsets, tiles and duplicates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from service.errors import InvalidInput
from service.theory import energy as reference
from tests.neighbors.datasets import long_rows
from workers.energy import evaluation as energies
from workers.energy import patterns as patterns_module
from workers.energy.candidates import Chosen
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.energy.rescoring import RescoredPairs
from workers.neighbors.stored import StoredRows

Array = np.ndarray
BETAS = [0.1, 1.0, 2.0, 8.0]


@dataclass(frozen=True)
class Case:
    n: int
    d: int
    scale: float
    offset: float

    def make(self, dtype: str, seed: int = 0) -> tuple[Array, Array]:
        rng = np.random.default_rng(seed)
        patterns = (self.scale * rng.normal(size=(self.d, self.n)) + self.offset).astype(dtype)
        queries = (self.scale * rng.normal(size=(30, self.n)) + self.offset).astype(dtype)
        queries[:4] = patterns[rng.integers(self.d, size=4)]
        return patterns, queries


CASES = [Case(n, d, scale, offset) for n in (1, 2, 3, 16, 64, 256, 1024) for d, scale, offset in
         ((1, 1.0, 0.0), (2, 10.0, 0.0), (64, 0.03, 100.0), (300, 1.0, 0.0), (300, 0.3, 1e4))]  # fmt: skip


def errors(case: Case, dtype: str) -> tuple[float, float, float]:
    """Largest error of E and of E_MCHN relative to max(|value|, 1/β), and how far E's error exceeds its bound."""
    patterns, queries = case.make(dtype)
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), BETAS, k=min(3, case.d))
    wide, points = patterns.astype(np.float64), queries.astype(np.float64)
    g, _ = reference.nearest(wide, points)
    np.testing.assert_allclose(found.g, g, rtol=1e-12)
    worst = np.zeros(3)
    for at, beta in enumerate(BETAS):
        true, mchn = reference.energy(wide, points, beta), reference.energy_mchn(wide, points, beta)
        miss = np.abs(found.energy[at] - true)
        worst[0] = max(worst[0], (miss / np.maximum(np.abs(true), 1 / beta)).max())
        worst[1] = max(worst[1], (np.abs(found.energy_mchn[at] - mchn) / np.maximum(np.abs(mchn), 1 / beta)).max())
        worst[2] = max(worst[2], (miss - found.error[at] - 1e-14 * np.maximum(np.abs(true), 1)).max())
    return worst[0], worst[1], worst[2]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float64_rows_to_1e_12(case: Case):
    energy, mchn, beyond = errors(case, "float64")
    # The lifts M² − ‖ρ‖² of rows far from the origin cancel digits, in the reference as well.
    assert energy <= 1e-12
    assert mchn <= (1e-12 if case.offset < 1e3 else 1e-9)
    assert beyond <= 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_rows_to_1e_6(case: Case):
    energy, mchn, beyond = errors(case, "float32")
    assert max(energy, mchn) <= 1e-6
    assert beyond <= 0


@pytest.mark.parametrize("rounding", [-1e-3, 0.0, 1e-3])
def test_patterns_that_are_not_rescored_weigh_by_the_true_smallest_value(rounding: float):
    """The nearest of two patterns is at distance 0, the other at 1; the product put the nearest at `rounding`."""
    chosen = Chosen(torch.tensor([0]), torch.tensor([0]), torch.tensor([rounding], dtype=torch.float64))
    patterns = SimpleNamespace(scale=1.0, unit=2.0**-24, stored=StoredRows(np.zeros((2, 1))))
    zero = torch.zeros(1, dtype=torch.float64)
    at = StoredRows(np.zeros((1, 1)))
    pairs = RescoredPairs(patterns, at, torch.tensor([0]), zero, chosen, lifted=False)  # type: ignore[arg-type]
    least = torch.tensor([rounding], dtype=torch.float64)
    sums = SimpleNamespace(betas=[2.0], used=[2.0], least=least, sums=1 + torch.exp(-2 * (1 - least))[None])
    energy, _ = pairs.soft_minima(sums, zero, torch.tensor([2]))  # type: ignore[arg-type]
    assert float(energy) == pytest.approx(-math.log(1 + math.exp(-2.0)) / 2, rel=1e-12)


@pytest.mark.parametrize("tile", [64, 192, 2**21])
@pytest.mark.parametrize("block", [7, 1024])
def test_tiles_and_blocks_change_nothing_but_the_last_bits(monkeypatch: pytest.MonkeyPatch, tile: int, block: int):
    patterns, queries = Case(16, 700, 0.5, 0.0).make("float32")
    prepared = prepare_patterns(StoredRows(patterns))
    whole = evaluate(prepared, StoredRows(queries), BETAS, k=5)
    monkeypatch.setitem(energies._QUERIES, "cpu", block)
    monkeypatch.setitem(patterns_module.TILE_NUMBERS, "cpu", tile)
    parts = evaluate(prepared, StoredRows(queries), BETAS, k=5)
    np.testing.assert_array_equal(whole.ids, parts.ids)
    np.testing.assert_array_equal(whole.distances, parts.distances)
    np.testing.assert_allclose(whole.energy, parts.energy, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(whole.energy_mchn, parts.energy_mchn, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_is_left_out_of_its_own_energy(dtype: str):
    patterns, _ = Case(8, 90, 1.0, 3.0).make(dtype)
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(patterns), [2.0], own=np.arange(90), k=2)
    wide = patterns.astype(np.float64)
    for row in range(90):
        others, at = np.delete(wide, row, axis=0), wide[row : row + 1]
        assert found.g[row] == pytest.approx(reference.nearest(others, at)[0][0], rel=1e-12)
        assert found.energy[0, row] == pytest.approx(reference.energy(others, at, 2.0)[0], rel=1e-6)
        assert found.energy_mchn[0, row] == pytest.approx(reference.energy_mchn(others, at, 2.0)[0], rel=1e-6)
        assert found.spread[row] == pytest.approx(reference.lifts(others).max(), rel=1e-9)
    assert (found.patterns == 89).all()
    assert (found.ids != np.arange(90)[:, None]).all()


def test_hundreds_of_copies_are_searched_by_the_exact_engine():
    rng = np.random.default_rng(1)
    patterns = np.concatenate([np.repeat(rng.normal(size=(1, 6)), 3000, axis=0), rng.normal(size=(50, 6))])
    patterns = patterns.astype(np.float32)
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(patterns[2990:3010]), [1.0], k=3)
    assert found.crowded.any()
    np.testing.assert_array_equal(found.distances[:10], 0)
    np.testing.assert_allclose(found.energy[0, :10], -np.log(3000), rtol=1e-4)
    true = reference.energy(patterns.astype(np.float64), patterns[2990:3010].astype(np.float64))
    np.testing.assert_allclose(found.energy[0], true, rtol=1e-6, atol=1e-6)  # of max(|E|, 1/β)


@pytest.mark.parametrize("most_bytes", [0, 2**29], ids=["tile by tile", "resident"])
def test_long_patterns_among_the_others_crowd_no_query(most_bytes: int):
    """One row in 32 is 300 times as long: every block in the order of storage would have the bounds of a long one."""
    rows = long_rows().astype(np.float32)
    own = np.arange(0, len(rows), 3)
    prepared = prepare_patterns(StoredRows(rows), precision=torch.float32, most_bytes=most_bytes)
    found = evaluate(prepared, StoredRows(rows[own]), [1.0, 0.01], own=own)
    assert not found.crowded.any()
    wide = rows.astype(np.float64)
    for at in range(0, len(own), 20):
        others, point = np.delete(wide, own[at], axis=0), wide[own[at]][None]
        assert found.g[at] == pytest.approx(reference.nearest(others, point)[0][0], rel=1e-12)
        for number, beta in enumerate(found.betas):
            slack = found.error[number, at] + 1e-9 * abs(found.energy[number, at])
            assert found.energy[number, at] == pytest.approx(reference.energy(others, point, beta)[0], abs=slack)


def test_blocks_of_several_threads_have_the_bits_of_one(monkeypatch: pytest.MonkeyPatch):
    patterns, queries = Case(16, 600, 1.0, 3.0).make("float32")
    monkeypatch.setitem(energies._QUERIES, "cpu", 8)
    prepared, before, found, shares = prepare_patterns(StoredRows(patterns)), torch.get_num_threads(), [], []
    try:
        for cores in (1, 8):
            torch.set_num_threads(cores)
            found.append(evaluate(prepared, StoredRows(queries), BETAS, k=5, tick=shares.append))
    finally:
        torch.set_num_threads(before)
    for name in ("ids", "distances", "energy", "energy_mchn", "error"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
    assert shares.count(1.0) == 2


@pytest.mark.parametrize("d", [70, 600, 2400])
def test_many_neighbours_of_few_patterns_need_no_exact_engine(d: int):
    patterns, queries = Case(16, d, 1.0, 0.0).make("float32")
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), [1.0], k=64)
    assert not found.crowded.any()
    gaps = np.linalg.norm(queries[:, None].astype(np.float64) - patterns[None].astype(np.float64), axis=2)
    np.testing.assert_allclose(found.distances, np.sort(gaps, axis=1)[:, :64], rtol=1e-12)


def test_g_of_1e8_and_far_outliers_overflow_nothing():
    rng = np.random.default_rng(2)
    patterns = rng.normal(size=(200, 32)).astype(np.float32)
    patterns[7] *= 1e6
    queries = np.concatenate([patterns[:5] + 2e3, patterns[:5]]).astype(np.float32)
    found = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), [1.0])
    wide, points = patterns.astype(np.float64), queries.astype(np.float64)
    assert found.g.max() > 1e8
    np.testing.assert_allclose(found.g, reference.nearest(wide, points)[0], rtol=1e-12)
    np.testing.assert_allclose(found.energy[0], reference.energy(wide, points), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.energy_mchn[0], reference.energy_mchn(wide, points), rtol=1e-6)


def test_g_and_energy_do_not_change_by_translation_and_mchn_does():
    patterns, queries = Case(16, 200, 1.0, 0.0).make("float64")
    here = evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), [1.0])
    there = evaluate(prepare_patterns(StoredRows(patterns + 100)), StoredRows(queries + 100), [1.0])
    np.testing.assert_allclose(here.g, there.g, rtol=1e-10, atol=1e-18)
    np.testing.assert_allclose(here.energy, there.energy, rtol=1e-10)
    assert np.abs(here.energy_mchn - there.energy_mchn).max() > 1


def test_progress_and_cancel():
    patterns, queries = Case(4, 500, 1.0, 0.0).make("float32")
    reported: list[float] = []
    evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), tick=reported.append)
    assert reported == sorted(reported)
    assert reported[-1] == 1

    def cancel(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(prepare_patterns(StoredRows(patterns)), StoredRows(queries), tick=cancel)


def test_inputs_without_an_energy_are_refused():
    one = prepare_patterns(StoredRows(np.ones((1, 3), dtype=np.float32)))
    with pytest.raises(InvalidInput, match="two are needed"):
        evaluate(one, StoredRows(np.ones((1, 3))), own=np.array([0]))
    with pytest.raises(InvalidInput, match="dimensions"):
        evaluate(one, StoredRows(np.ones((1, 4))))
    with pytest.raises(InvalidInput, match="beta"):
        evaluate(one, StoredRows(np.ones((1, 3))), [0.0])
    with pytest.raises(InvalidInput, match="k must be"):
        evaluate(one, StoredRows(np.ones((1, 3))), k=65)
    with pytest.raises(InvalidInput, match="at least one pattern"):
        prepare_patterns(StoredRows(np.ones((0, 3))))
    assert evaluate(one, StoredRows(np.ones((0, 3)))).energy.shape == (1, 0)


@pytest.mark.gpu
def test_a_gpu_gives_the_same():
    patterns, queries = Case(64, 300, 1.0, 0.0).make("float32")
    device = torch.device("cuda:0")
    found = evaluate(prepare_patterns(StoredRows(patterns), device=device), StoredRows(queries), BETAS)
    true = reference.energy(patterns.astype(np.float64), queries.astype(np.float64), 1.0)
    np.testing.assert_allclose(found.energy[1], true, rtol=1e-6)


def test_the_first_positions_of_chunks_crowd_no_query():
    """As in a set of 250 chunks at all 32 positions: a centre among the long rows is far from all others."""
    rows = np.random.default_rng(0).standard_normal((8000, 16)).astype(np.float32)
    rows[::32] = 300 * np.abs(rows[::32])
    found = evaluate(prepare_patterns(StoredRows(rows)), StoredRows(rows[1:64:2] + np.float32(0.1)), [1.0], k=10)
    assert not found.crowded.any()
