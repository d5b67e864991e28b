"""The kernel that scans tiles: by Triton's interpreter on the CPU, and compiled ahead of time (`make test-fused`)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.neighbors.datasets import long_rows
from tests.own_modules import run_own_module
from workers.energy import query_block
from workers.energy.evaluation import evaluate
from workers.energy.patterns import TILE_NUMBERS, prepare_patterns
from workers.energy.query_block import Energies
from workers.energy.self_test import scan_error
from workers.neighbors.stored import StoredRows

Array = np.ndarray
pytestmark = [
    pytest.mark.triton,
    # A minimum of no pattern is infinite; what is subtracted from it is left out afterwards.
    pytest.mark.filterwarnings("ignore:invalid value encountered in subtract:RuntimeWarning"),
]
ARCHITECTURES = (80, 86, 90, 100)
BETAS = [0.02, 3.0]


def gaussian() -> Array:
    return np.random.default_rng(0).standard_normal((700, 20)).astype(np.float32)


def copies() -> Array:
    """More copies of one row than a query may have candidates."""
    rows = gaussian()
    rows[: 2 * 300] = rows[0]
    return rows


def far() -> Array:
    return gaussian() + 1000


def test_the_self_test_accepts_the_kernel():
    assert scan_error(torch.device("cpu")) is None


@pytest.mark.parametrize("make", [gaussian, copies, far, long_rows])
def test_energies_by_the_kernel_are_those_by_torch(make: Callable[[], Array], monkeypatch: pytest.MonkeyPatch):
    rows = make()
    own = np.where(np.arange(10) % 4 == 1, -1, np.arange(10))
    monkeypatch.setitem(TILE_NUMBERS, "cpu", 10 * 192)

    def energies() -> Energies:
        return evaluate(prepare_patterns(StoredRows(rows)), StoredRows(rows[:10]), BETAS, k=5, own=own)

    expected = energies()
    monkeypatch.setattr(query_block, "is_fused", lambda patterns: patterns.precision == torch.float32)
    found = energies()
    assert (found.ids == expected.ids).all()
    assert (found.distances == expected.distances).all()
    assert not expected.crowded.any()
    assert found.crowded.all() == found.crowded.any() == (make is copies)  # 6,000 pairs at distance 0 fill the pool
    assert (np.abs(found.energy - expected.energy) <= found.error + expected.error).all()
    np.testing.assert_allclose(found.energy_mchn, expected.energy_mchn, rtol=1e-6)


@pytest.fixture(scope="module")
def compiled() -> list[dict[str, Any]]:
    """The kernel as compiled for every architecture, by a process in which Triton does not interpret."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = run_own_module("tests.devices.ahead", environment=environment)
    done.check_returncode()
    return [each for each in json.loads(done.stdout) if each["kernel"] == "scans"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_holds_it_in_registers(compiled: list[dict[str, Any]], architecture: int):
    (found,) = [each for each in compiled if each["architecture"] == architecture]
    assert found["registers"] <= 255
    assert found["stack"] <= 8  # one number is spilled on 8.x
    assert found["local"] <= 2
    assert found["shared"] <= 48 * 1024
