"""Changes of the energies by every block of consecutive layers, among the patterns of its layer, and of the others."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from service.contracts.descent_report import DescentReport
from service.contracts.energy import EnergySpec
from service.settings import Settings
from workers.devices.device import choose_device
from workers.energy.descent import measure_block
from workers.energy.null_steps import other_rows
from workers.energy.patterns import Patterns, prepare_patterns
from workers.flows.energy.descent_fields import LayerDecreases, block_report, layer_pairs, overall_verdict
from workers.flows.energy.sets import Layer, halves
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick, part_of
from workers.statistics.documents import Documents

Array = np.ndarray
ONE_DOCUMENT = "all rows are of one document, so no points have patterns of other documents"
_NOTES = (
    "Eq. (6): patterns are activations after the block, of one half of the documents; points come from the other half. "
    "A block that searches decreases g at more points than each of three nulls: all points move by the mean step, each "
    "point moves by another's step, or in a random direction as far as by its own.",
    "Errors are by the documents of the points, given the patterns and the steps. Verdicts are by the paired 95 % "
    "intervals of single blocks and nulls, not corrected for their number; layer pairs do not enter them.",
)
_ROWS_ARE_DOCUMENTS = (
    "The sets have no documents: each row counts as one, so errors are too small where rows are related."
)


def measure_descent(spec: EnergySpec, layers: list[Layer], settings: Settings, tick: Tick) -> DescentReport | None:
    """Measure every block of consecutive layers, among patterns of other documents than those of the points.

    None where all rows are of one document.
    """
    stored, queries = halves(layers[0], spec.seed)
    if not len(stored):
        return None
    queries = queries[: spec.sample]
    documents = Documents.of(layers[0].folder.document_codes(), layers[0].summary.n).take(queries)
    others, blocks, device = other_rows(documents.codes, spec.seed), len(layers) - 1, choose_device(settings.device)

    def patterns_of(layer: int) -> Patterns:
        return prepare_patterns(StoredRows(layers[layer].rows.take(torch.from_numpy(stored)).numpy()), device=device)

    def points_of(layer: int) -> Array:
        return layers[layer].rows.take(torch.from_numpy(queries)).double().numpy()

    reports, decreases = [], []
    for block in range(1, blocks + 1):
        block_tick = partial(part_of, tick, block - 1, blocks)
        found = measure_block(points_of, blocks, block, patterns_of(block), others, seed=spec.seed, tick=block_tick)
        reports.append(block_report(block, layers[block].summary.site, found, documents))
        decreases.append(LayerDecreases.of(found.places))
    verdict = overall_verdict(reports)
    return DescentReport(
        patterns=len(stored),
        points=len(queries),
        documents=len(np.unique(documents.codes)),
        rows_are_documents=not documents.known,
        blocks=reports,
        layer_pairs=layer_pairs(decreases, documents),
        verdict=verdict,
        notes=[*_NOTES, *([] if documents.known else [_ROWS_ARE_DOCUMENTS]), verdict],
    )
