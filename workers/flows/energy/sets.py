"""The sets of an energy job, as layers of patterns, and the query points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from service.artifacts.activation_set import ActivationSet
from service.catalog import activations
from service.contracts.activations import ActivationSummary
from service.contracts.energy import EnergySpec
from service.errors import InvalidInput
from workers.flows.engine.runtime import Runtime
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.stored import StoredRows

Array = np.ndarray


@dataclass(frozen=True)
class Layer:
    """One published set and its rows, memory-mapped."""

    summary: ActivationSummary
    folder: ActivationSet
    rows: StoredRows


@dataclass(frozen=True)
class Points:
    """The query points.

    Attributes:
        rows: (q, n) points.
        ids: (q,) which rows of their set they are.
        own: the same where a point is itself a pattern of every layer and is left out; None where it is not.
    """

    rows: StoredRows
    ids: Array
    own: Array | None


def read_layers(spec: EnergySpec, current: Runtime) -> tuple[list[Layer], Layer | None]:
    """The layers, and the set of queries where one is given.

    Raises:
        InvalidInput: several layers without queries that are not of the same chunks.
    """

    def read(set_id: str) -> Layer:
        summary, _ = current.read(lambda connection: activations.get(connection, set_id))
        folder = ActivationSet(current.artifact(set_id), summary.sha256)
        return Layer(summary, folder, StoredRows(folder.mapped_vectors()))

    layers = [read(set_id) for set_id in spec.activations]
    if spec.queries is None and not same_chunks(layers):
        raise InvalidInput("the sets are not of the same chunks; give queries", field="spec.activations")
    return layers, None if spec.queries is None else read(spec.queries)


def same_chunks(layers: list[Layer]) -> bool:
    """Whether row r of every set is the same token of the same text; imported vectors are assumed to be."""
    return len({(layer.summary.n, *_chunk_hashes(layer.folder)) for layer in layers}) == 1


def draw_points(spec: EnergySpec, layers: list[Layer], queries: Layer | None) -> Points:
    """The points of `queries`, or of the last layer without themselves; a seeded sample if the spec has `sample`."""
    source = queries or layers[-1]
    ids = seeded_permutation(len(source.rows), spec.seed)[: spec.sample]
    if spec.sample is None:
        ids = np.sort(ids)
    rows = source.rows if spec.sample is None else StoredRows(source.rows.take(torch.from_numpy(ids)).numpy())
    return Points(rows, ids, ids if queries is None else None)


def halves(layer: Layer, seed: int) -> tuple[Array, Array]:
    """(ids of patterns, ids of queries): rows of one half of the documents, and of the other, in seeded order."""
    codes = layer.folder.document_codes()
    _, codes = np.unique(np.arange(layer.summary.n) if codes is None else codes, return_inverse=True)
    order = seeded_permutation(int(codes.max()) + 1, seed)
    first = np.zeros(len(order), dtype=bool)
    first[order[: len(order) // 2]] = True
    shuffled = seeded_permutation(layer.summary.n, seed)
    of_first = first[codes[shuffled]]
    return np.sort(shuffled[of_first]), shuffled[~of_first]


def _chunk_hashes(folder: ActivationSet) -> tuple[object, ...]:
    hashes = [entry["sha256"] for entry in folder.manifest["files"] if entry["name"].startswith("rows-")]
    return (*hashes, folder.manifest.get("position"))
