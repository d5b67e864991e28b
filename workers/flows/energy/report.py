"""Segment: activation sets → their energy report, the energies behind it and the figure, published."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.artifacts.activation_set import save_tensors
from service.artifacts.report import FIGURE, EnergyFolder, write_report
from service.catalog import energy as energy_catalog
from service.catalog import jobs
from service.catalog.engine import Connection
from service.contracts.base import Notice, now
from service.contracts.energy_report import EnergyReport
from service.provenance import provenance
from service.theory.energy_bounds import ORIGIN_NOTE
from workers.devices.device import choose_device, describe_device
from workers.energy.self_test import scan_state
from workers.figures.energy import draw_energy_figure
from workers.flows.energy.arguments import ENERGY, EnergyArguments, EnergyReported
from workers.flows.energy.descent import ONE_DOCUMENT, measure_descent
from workers.flows.energy.fields import global_report
from workers.flows.energy.figure1 import write_figure1
from workers.flows.energy.layers import MeasuredLayer, measure_layer
from workers.flows.energy.sets import Layer, draw_points, read_layers
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.precision import measured_forward, precision_notices
from workers.flows.publishing import Change, Draft, publish
from workers.neighbors.ticking import Tick, part_of

ENERGIES = "energies.safetensors"
_PACKAGES = ("numpy", "scipy", "torch", "matplotlib")
Array = np.ndarray


@runs(ENERGY)
def evaluate_energies(arguments: EnergyArguments, owner: SegmentOwner) -> EnergyReported:
    """Compute and publish the report; a sound one that an earlier owner published is kept."""
    current, spec, job_id = owner.runtime, arguments.spec, owner.job_id
    layers, queries = read_layers(spec, current) if spec.activations else ([], None)
    total = max(1, sum(layer.summary.n for layer in layers))
    if arguments.sets_total:
        current.write(lambda connection: jobs.set_total(connection, job_id, total, "rows"))
    target = current.artifact(arguments.report)

    def write(folder: Path) -> None:
        if spec.builtin is not None:
            write_figure1(folder, job_id, arguments.report)
        else:
            _write_report(folder, arguments, owner, layers, queries, lambda share: owner.progress(int(share * total)))

    publish(owner, [Draft(target, write)], record=partial(_recorded, job_id, target))
    owner.progress(total, final=True)
    return EnergyReported(report=arguments.report)


def _recorded(job_id: str, target: Path, digests: list[str]) -> Change:
    """The change that makes the report visible: its row, the job's result and warnings."""
    report = EnergyFolder(target, digests[0]).report()
    site = report.layers[0].site if len(report.layers) == 1 else None

    def record(connection: Connection) -> None:
        energy_catalog.publish(connection, _row(report, digests[0]))
        jobs.add_result(connection, job_id, "energy", site, report.id)
        jobs.warn(connection, job_id, report.warnings)

    return record


def _write_report(
    folder: Path,
    arguments: EnergyArguments,
    owner: SegmentOwner,
    layers: list[Layer],
    queries: Layer | None,
    tick: Tick,
) -> None:
    began, settings, spec = time.perf_counter(), owner.runtime.settings, arguments.spec
    points, dimension = draw_points(spec, layers, queries), layers[0].summary.d_model
    descends = queries is None and len(layers) > 1
    parts = len(layers) * (2 if descends else 1)
    measured = [
        measure_layer(spec, layer, points, settings, partial(part_of, tick, at, parts))
        for at, layer in enumerate(layers)
    ]
    evaluated, descent, over_layers = time.perf_counter(), None, None
    if descends:
        descent = measure_descent(spec, layers, settings, partial(part_of, tick, 1, 2))
    if len(layers) > 1:
        over_layers = global_report([part.found.g for part in measured], [part.radii for part in measured], dimension)
    report = EnergyReport(
        id=arguments.report,
        job=owner.job_id,
        activations=spec.activations,
        queries=spec.queries,
        name=_name(layers),
        d_model=dimension,
        points=len(points.ids),
        layers=[part.report for part in measured],
        energy_global=over_layers,
        descent=descent,
        descent_reason=ONE_DOCUMENT if descends and descent is None else None,
        warnings=_warnings(measured, layers) + _kernel_notices(choose_device(settings.device)),
        notes=[ORIGIN_NOTE],
        timing={
            "energy_s": evaluated - began,
            "descent_s": time.perf_counter() - evaluated,
            "total_s": time.perf_counter() - began,
        },
        provenance=_provenance(arguments, owner, layers, queries, measured),
        created_at=now(),
    )
    _write_files(folder, report, points.ids, measured)


def _name(layers: list[Layer]) -> str:
    first, last = layers[0].summary, layers[-1].summary
    return first.name if len(layers) == 1 else f"{first.name} to {last.site or last.name}"


def _kernel_notices(device: torch.device) -> list[Notice]:
    """The kernel of a GPU was not used, and why: the energies took longer, and are as accurate."""
    state = scan_state(device)
    if device.type == "cpu" or state.fused:
        return []
    message = f"the GPU's kernel was not used: {state.reason}; the energies took longer, and are as accurate"
    return [Notice(code="kernel_not_used", message=message)]


def _warnings(measured: list[MeasuredLayer], layers: list[Layer]) -> list[Notice]:
    found = []
    for part, layer in zip(measured, layers, strict=True):
        forward = measured_forward(layer.folder.manifest)
        found += precision_notices([forward], math.sqrt(part.report.g.distribution.median))
        failed = part.report.bounds.paper_literal.proposition_3.failed_share
        if failed:
            message = f"the printed Prop. 3 fails at {failed:.0%} of the points among {part.report.name}"
            found.append(Notice(code="printed_bound_fails", message=message))
    return found


def _provenance(
    arguments: EnergyArguments,
    owner: SegmentOwner,
    layers: list[Layer],
    queries: Layer | None,
    measured: list[MeasuredLayer],
) -> dict[str, Any]:
    return provenance(
        _PACKAGES,
        seed=arguments.spec.seed,
        activations_sha256=[layer.summary.sha256 for layer in layers],
        queries_sha256=None if queries is None else queries.summary.sha256,
        betas=list(measured[0].found.betas),
        crowded=[int(part.found.crowded.sum()) for part in measured],
        **describe_device(choose_device(owner.runtime.settings.device)),
    )


def _write_files(folder: Path, report: EnergyReport, ids: Array, measured: list[MeasuredLayer]) -> None:
    tensors = {"rows": ids, "betas": np.array(measured[0].found.betas)}
    for at, part in enumerate(measured):
        found = part.found
        tensors |= {f"g_{at}": found.g, f"nearest_{at}": found.ids[:, 0]}
        tensors |= {f"energy_{at}": found.energy, f"energy_mchn_{at}": found.energy_mchn}
    save_tensors(folder / ENERGIES, tensors)
    figures = draw_energy_figure(report, folder / FIGURE)
    write_report(folder, "energy", report, [folder / ENERGIES, *figures])


def _row(report: EnergyReport, sha256: str) -> dict[str, Any]:
    kept = {"id", "job", "activations", "queries", "name", "d_model", "points", "created_at"}
    mean = None
    if report.layers:
        last = report.layers[-1]
        mean = {"g": last.g.distribution.mean, "energy": last.energies[0].energy.distribution.mean}
    return report.model_dump(include=kept) | {"mean": mean, "sha256": sha256}
