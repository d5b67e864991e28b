"""How every block of consecutive layers changes the energies among the patterns of its layer."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from service.contracts.energy import EnergySpec
from service.contracts.energy_report import BlockReport, DescentReport
from service.settings import Settings
from workers.devices.device import choose_device
from workers.energy.descent import measure_block, shuffled_layers
from workers.energy.patterns import Patterns, prepare_patterns
from workers.flows.energy.fields import block_report
from workers.flows.energy.sets import Layer, halves
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick, part_of

Array = np.ndarray
_NOTE = (
    "Eq. (6): patterns are activations after the block, of one half of the documents; points come from the other half. "
    "A block that searches decreases g at more points than both nulls, along a positive cosine."
)


def verdict(blocks: list[BlockReport]) -> str:
    """Which blocks search, by the measure of `_NOTE`."""
    found = [block.layer for block in blocks if _searches(block)]
    named = ", ".join(str(layer) for layer in found)
    return f"By this {len(found)} of {len(blocks)} blocks search" + (f": {named}." if found else ".")


def _searches(block: BlockReport) -> bool:
    nulls = [null.decrease_share for null in (block.shuffled, block.random) if null is not None]
    return (block.block.cosine or 0.0) > 0 and block.block.decrease_share > max(nulls)


def measure_descent(spec: EnergySpec, layers: list[Layer], settings: Settings, tick: Tick) -> DescentReport | None:
    """Measure every block of consecutive layers, among patterns of other documents than those of the points.

    None where all rows are of one document.
    """
    stored, queries = halves(layers[0], spec.seed)
    if not len(stored):
        return None
    queries = queries[: spec.sample]
    device, blocks = choose_device(settings.device), len(layers) - 1
    others: list[int] | list[None] = shuffled_layers(blocks, spec.seed) if blocks > 1 else [None]

    def patterns_of(layer: int) -> Patterns:
        return prepare_patterns(StoredRows(layers[layer].rows.take(torch.from_numpy(stored)).numpy()), device=device)

    def points_of(layer: int) -> Array:
        return layers[layer].rows.take(torch.from_numpy(queries)).double().numpy()

    reports, before = [], points_of(0)
    for block in range(blocks):
        after, other = points_of(block + 1), others[block]
        shuffled = None if other is None else (other + 1, patterns_of(other + 1))
        block_tick = partial(part_of, tick, block, blocks)
        found = measure_block(before, after, patterns_of(block + 1), shuffled, seed=spec.seed, tick=block_tick)
        reports.append(block_report(block + 1, layers[block + 1].summary.site, found))
        before = after
    return DescentReport(patterns=len(stored), points=len(queries), blocks=reports, notes=[_NOTE, verdict(reports)])
