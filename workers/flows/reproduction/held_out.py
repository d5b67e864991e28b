"""Segment: Assumption 2. Rows of one half of the documents are patterns, those of the other half held-out points."""

from __future__ import annotations

import numpy as np
import torch

from service.artifacts.activation_set import ActivationSet
from service.catalog import activations
from workers.devices.device import choose_device
from workers.flows.energy.sets import Layer, halves
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.reproduction.arguments import HELD_OUT, HeldOutArguments, HeldOutSite, HeldOutSites
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.statistics.coverage import coverage
from workers.statistics.documents import Documents
from workers.statistics.estimate import ONE_DOCUMENT
from workers.statistics.nearest_documents import nearest_of_two_documents

_FEW = 4  # neighbours: enough for rows of two documents in most lists


@runs(HELD_OUT)
def measure_held_out(arguments: HeldOutArguments, owner: SegmentOwner) -> HeldOutSites:
    """The share of held-out points of each set that lie in a ball of radius NN/2 of a pattern."""
    sites = []
    for set_id in arguments.activations:
        summary, _ = owner.runtime.read(lambda connection, name=set_id: activations.get(connection, name))
        folder = ActivationSet(owner.runtime.artifact(set_id), summary.sha256)
        layer = Layer(summary, folder, StoredRows(folder.mapped_vectors()))
        sites.append(_site(layer, arguments.seed, owner))
    return HeldOutSites(sites=sites)


def _site(layer: Layer, seed: int, owner: SegmentOwner) -> HeldOutSite:
    stored, held = halves(layer, seed)
    name = layer.summary.site or layer.summary.name
    if not len(stored) or not len(held):
        return HeldOutSite(
            site=name, share=None, interval=None, points=len(held), patterns=len(stored), reason=ONE_DOCUMENT
        )
    rows, queries = (StoredRows(layer.rows.take(torch.from_numpy(ids)).numpy()) for ids in (stored, held))
    codes = layer.folder.document_codes()
    codes = np.arange(layer.summary.n) if codes is None else codes
    options = SearchOptions(device=choose_device(owner.runtime.settings.device))

    def tick(_: float) -> None:
        owner.progress(0)

    of_rows = Documents.of(codes[stored], len(stored))
    own = Question.of_all_rows(rows, k=_FEW)
    (found,), _ = exact_neighbors(own, options, tick=tick)
    reference = nearest_of_two_documents(own, found, of_rows.codes, options)
    asked = Question(rows, np.arange(len(rows)), [len(rows)], 1, queries=queries)
    (answer,), _ = exact_neighbors(asked, options, tick=tick)
    of_points = Documents.of(codes[held], len(held))
    share = coverage(answer.distances[:, 0], answer.ids[:, 0], of_points, reference, of_rows).share
    return HeldOutSite(
        site=name,
        share=share.value,
        interval=share.interval,
        points=len(held),
        patterns=len(stored),
        reason=share.reason,
    )
