"""Steps of blocks and losses in which a claim holds or fails by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from service.contracts.descent_report import DescentReport
from service.contracts.energy_report import EnergyReport
from service.reproduction.energy_claims import blocks_search
from service.reproduction.finding import Finding
from service.reproduction.training_claims import RunLosses, loss_at_least_one
from workers.energy.descent import measure_block
from workers.energy.null_steps import other_rows
from workers.energy.patterns import prepare_patterns
from workers.flows.energy.descent_fields import block_report
from workers.neighbors.stored import StoredRows
from workers.statistics.documents import Documents

Array = np.ndarray


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


Move = Callable[[Array, Array], Array]


@pytest.mark.parametrize(
    ("move", "verdict"),
    [
        (lambda points, nearest: points + 0.5 * (nearest - points), "reproduced"),
        (lambda points, nearest: points - 0.5 * (nearest - points), "contradicted"),
        (lambda points, nearest: points + 1.0, "not_identifiable"),
    ],
)
def test_blocks_as_a_search(move: Move, verdict: str):
    patterns = normal(10, 80, 8) * 3
    points = normal(11, 120, 8) * 3
    nearest = patterns[((points[:, None] - patterns) ** 2).sum(axis=2).argmin(axis=1)]
    stream, documents = [points, move(points, nearest)], Documents.of(np.arange(120) // 2, 120)
    found = measure_block(
        stream.__getitem__, 1, 1, prepare_patterns(StoredRows(patterns)), other_rows(documents.codes, 0), seed=0
    )
    blocks = [block_report(1, "blocks.0.hook_resid_post", found, documents)]
    descent = DescentReport(patterns=80, points=120, blocks=blocks, notes=[])
    assert _descent(descent).verdict == verdict


def _descent(descent: DescentReport) -> Finding:
    return blocks_search(EnergyReport.model_construct(descent=descent))


@pytest.mark.parametrize(("floor", "verdict"), [(1.02, "reproduced"), (0.9, "contradicted")])
def test_losses_of_controls(floor: float, verdict: str):
    noise = 0.01 * normal(12, 500)
    losses = floor + np.exp(-np.arange(500) / 50) + noise
    controls = [RunLosses(name, range(500), list(losses), {}, {}) for name in ("half", "one")]
    assert loss_at_least_one(controls, 3.0).verdict == verdict
