"""Energies of the query points among one layer's patterns, and properties of these patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from service.contracts.energy import EnergySpec
from service.contracts.energy_report import BasinTest, Curvature, LayerEnergies
from service.settings import Settings
from service.theory.energy import Kind
from workers.devices.device import choose_device
from workers.energy.curvature import curvatures
from workers.energy.evaluation import evaluate
from workers.energy.patterns import Patterns, prepare_patterns
from workers.energy.query_block import Energies
from workers.energy.retrieval import basin_test
from workers.flows.energy.fields import (
    basin_report,
    bounds_report,
    curvature_report,
    energies_at,
    spread,
    storage_report,
)
from workers.flows.energy.sets import Layer, Points
from workers.neighbors.answers import Neighbors
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick

Array = np.ndarray
_ALWAYS = (1.0, 2.0)  # Props. 1 to 3 are of E at β = 1 and E_MCHN at β = 2


@dataclass(frozen=True)
class MeasuredLayer:
    """One layer: its report, the energies of every point, the radii of its patterns."""

    report: LayerEnergies
    found: Energies
    radii: Array


def measure_layer(spec: EnergySpec, layer: Layer, points: Points, settings: Settings, tick: Tick) -> MeasuredLayer:
    """Measure the energies of the points among one layer's patterns, and properties of these patterns."""
    device, summary = choose_device(settings.device), layer.summary
    patterns = prepare_patterns(layer.rows, device=device)
    betas = sorted({*spec.beta, *_ALWAYS})
    found = evaluate(patterns, points.rows, betas, own=points.own, tick=lambda share: tick(0.7 * share))
    near = _pattern_neighbors(layer.rows, device, lambda share: tick(0.7 + 0.1 * share))
    curvature = _curvatures(spec, patterns, points, found, settings.energy_curvature_rows)
    tick(0.9)
    alone, many = len(near.rows) < 2, settings.energy_basin_rows
    basins = None if alone else _basins(patterns, near, many, spec.seed, lambda share: tick(0.9 + 0.1 * share))
    report = LayerEnergies(
        activations=summary.id,
        site=summary.site,
        name=summary.name,
        n=summary.n,
        d_model=summary.d_model,
        patterns=int(found.patterns[0]),
        left_out=None if points.own is None else "self",
        g=spread(found.g),
        energies=energies_at(found, spec.beta),
        bounds=bounds_report(found),
        curvature=curvature,
        storage=None if alone else storage_report(near.distances[:, 0]),
        basins=basins,
    )
    tick(1.0)
    return MeasuredLayer(report, found, np.zeros(1) if alone else near.distances[:, 0] / 2)


def _pattern_neighbors(rows: StoredRows, device: torch.device, tick: Tick) -> Neighbors:
    """The exact nearest other pattern of every pattern."""
    return exact_neighbors(Question.of_all_rows(rows), SearchOptions(device=device), tick)[0][0]


def _basins(patterns: Patterns, near: Neighbors, most: int, seed: int, tick: Tick) -> BasinTest | None:
    """Test Definition 1 on the first patterns of a seeded order that have no duplicate."""
    distances = near.distances[:, 0]
    order = seeded_permutation(len(distances), seed)
    chosen = order[distances[order] > 0][:most]
    if not len(chosen):
        return None
    found = basin_test(patterns, near.rows[chosen], near.ids[chosen, 0], distances[chosen], seed=seed, tick=tick)
    return basin_report(found)


def _curvatures(spec: EnergySpec, patterns: Patterns, points: Points, found: Energies, most: int) -> list[Curvature]:
    """Smallest Hessian eigenvalues at some points, and half-way from them to their nearest pattern."""
    chosen = torch.arange(min(most, len(points.ids)))
    rows = points.rows.take(chosen).double().numpy()
    own = None if points.own is None else points.own[: len(chosen)]
    nearest = patterns.stored.take(torch.from_numpy(found.ids[: len(chosen), 0])).double().numpy()
    places = {"rows": (rows, own), "midpoints": ((rows + nearest) / 2, None)}
    kinds: tuple[Kind, ...] = ("energy", "energy_mchn")
    return [
        curvature_report(kind, beta, where, curvatures(patterns, at, beta, kind, own=left_out, seed=spec.seed))
        for where, (at, left_out) in places.items()
        for kind in kinds
        for beta in spec.beta
    ]
