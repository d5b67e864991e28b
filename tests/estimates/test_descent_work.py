"""The price of the descent of several layers: by what it multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.contracts.energy import EnergyOptions
from service.estimates.work import SetShape, energy_work
from service.settings import Settings
from workers.energy import descent
from workers.energy.null_steps import other_rows
from workers.energy.patterns import Patterns, prepare_patterns
from workers.neighbors.stored import StoredRows

ROWS, D, LAYERS = 41, 6, 4


@pytest.mark.parametrize("sample", [None, 15])
def test_the_descent_is_priced_by_its_products(sample: int | None, monkeypatch: pytest.MonkeyPatch):
    products, evaluate = [], descent.evaluate

    def counted(patterns: Patterns, points: StoredRows, *given: Any, **options: Any) -> Any:
        products.append(len(patterns) * len(points) * points.d)
        return evaluate(patterns, points, *given, **options)

    monkeypatch.setattr(descent, "evaluate", counted)
    layers = np.random.default_rng(0).standard_normal((LAYERS, ROWS, D))
    stored, asked = np.arange(ROWS // 2), np.arange(ROWS // 2, ROWS)[:sample]
    others = other_rows(np.arange(len(asked)), 0)
    for block in range(1, LAYERS):
        patterns = prepare_patterns(StoredRows(layers[block][stored]))
        descent.measure_block(lambda at: layers[at][asked], LAYERS - 1, block, patterns, others, seed=0)
    shapes, options = [SetShape(ROWS, D)] * LAYERS, EnergyOptions(sample=sample)
    with_descent, without = (energy_work(shapes, ROWS, options, Settings(), within=within) for within in (True, False))
    assert with_descent.amounts["energies"] - without.amounts["energies"] == sum(products)
    assert with_descent.memory_bytes > without.memory_bytes
    assert energy_work(shapes[:1], ROWS, options, Settings()) == energy_work(
        shapes[:1], ROWS, options, Settings(), within=False
    )
