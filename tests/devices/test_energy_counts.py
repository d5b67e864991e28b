"""Energies, and the Gaussian null model, on a pretend GPU: their values, and what the host waits for."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from tests.devices.kernel import kernel_on
from tests.devices.pretend import DEVICE, PretendGpu
from workers.energy import candidates, query_block
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.neighbors.null_model import principal_deviations
from workers.neighbors.stored import StoredRows


@pytest.mark.parametrize(("kernel", "most"), [(True, 12), (False, 200)])
def test_a_tile_of_energies_waits_for_nothing(kernel: bool, most: int, monkeypatch: pytest.MonkeyPatch):
    rows = np.random.default_rng(0).standard_normal((1600, 64)).astype(np.float32)
    stored, own = StoredRows(rows), np.arange(200)
    queries = StoredRows(rows[:200])
    expected = evaluate(prepare_patterns(stored), queries, [0.01, 1.0], k=2, own=own)
    monkeypatch.setitem(query_block.TILE_NUMBERS, "cuda", 2**15)
    monkeypatch.setattr(query_block, "is_fused", lambda _: False)  # where Triton is, its self-test would be counted
    counts: list[tuple[int, int]] = []
    with PretendGpu() as gpu, kernel_on(gpu) if kernel else nullcontext():
        patterns = prepare_patterns(stored, device=DEVICE)
        tick = lambda share: counts.append((gpu.waits.total(), gpu.launches.total()))  # noqa: E731
        found = evaluate(patterns, queries, [0.01, 1.0], k=2, own=own, tick=tick)
        assert gpu.uploaded < 1.3 * rows.nbytes
        assert gpu.launches["scan"] == (2 * len(counts) if kernel else 0)
    waits, launches = np.diff(np.array(counts), axis=0).T
    assert len(waits) > 5
    assert waits.max() == 0
    assert launches.max() <= most  # of two β with E_MCHN: the product and two scans, or each operator of torch
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-12)
    assert (np.abs(found.energy - expected.energy) <= found.error + expected.error).all()  # tiles of other sizes
    np.testing.assert_allclose(found.energy_mchn, expected.energy_mchn, rtol=2.0**-23)
    assert (found.ids == expected.ids).all()
    assert not found.crowded.any()


def test_queries_are_crowded_where_the_pool_is_full(monkeypatch: pytest.MonkeyPatch):
    rows = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
    queries = StoredRows(rows[:40])
    expected = evaluate(prepare_patterns(StoredRows(rows)), queries, [1.0])
    monkeypatch.setattr(candidates, "_POOLED", 0)
    with PretendGpu() as gpu, kernel_on(gpu):
        found = evaluate(prepare_patterns(StoredRows(rows), device=DEVICE), queries, [1.0])
    assert found.crowded.all()
    assert (found.ids == expected.ids).all()
    assert (np.abs(found.energy - expected.energy) <= found.error + expected.error).all()


def test_the_null_model_is_drawn_on_the_device():
    rows = np.random.default_rng(0).standard_normal((2000, 16)) * np.linspace(1, 3, 16)
    stored, mean = StoredRows(rows), rows.mean(axis=0)
    expected = principal_deviations(stored, mean)
    with PretendGpu():
        deviations = principal_deviations(stored, mean, DEVICE)
    np.testing.assert_allclose(deviations, expected, rtol=1e-12)
