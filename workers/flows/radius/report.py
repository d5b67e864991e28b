"""Segment: an activation set → its radius report, the neighbours behind it, and the figure."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST
from service.artifacts.report import FIGURE, ReportFolder, write_report
from service.artifacts.staging import collect_staging, own_staging
from service.catalog import activations, jobs
from service.catalog import radius as radius_catalog
from service.catalog.engine import Connection
from service.contracts.activations import ActivationStatistics, ActivationSummary
from service.contracts.base import now
from service.contracts.radius import RadiusReport, RadiusSpec
from service.provenance import provenance
from service.theory.radius import report_theory
from workers.figures.radius import draw_radius_figure
from workers.flows.engine.runtime import SegmentProgress, runtime
from workers.flows.radius.fields import counts_report, fraction_reports, null_report, report_warnings
from workers.flows.radius.partition import partition_report
from workers.flows.radius.parts import gather_parts, read_null
from workers.flows.radius.search import Found, read_input, search, sets_of
from workers.neighbors.answers import Neighbors
from workers.neighbors.null_model import covariance_spectrum, gaussian_null
from workers.neighbors.permutation import prefix_sizes

NEIGHBORS = "neighbors.safetensors"
_PACKAGES = ("numpy", "scipy", "faiss-cpu", "faiss-gpu", "matplotlib")


def measure_radius(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Compute and publish the report `arguments["report"]`; one that is there already is kept."""
    current, report_id = runtime(), arguments["report"]
    spec = RadiusSpec(**{name: arguments[name] for name in RadiusSpec.model_fields if name in arguments})
    summary, statistics = current.read(lambda connection: activations.get(connection, spec.activations))
    if arguments["alone"]:
        current.write(lambda connection: jobs.plan(connection, job_id, summary.n, "rows"))
    target = current.artifact(report_id)
    if not (target / MANIFEST).exists():
        with own_staging(current.settings.staging_root, report_id, progress.attempt) as folder:
            _write_report(folder, job_id, arguments, spec, summary, statistics, progress)
            publish_folder(folder, target)
    sha256 = sha256_file(target / MANIFEST)
    report = ReportFolder(target, sha256).report()  # checked once more: it may be an owner's before, long ago

    def record(connection: Connection) -> None:
        progress.check(connection)
        radius_catalog.publish(connection, _row(report, sha256))
        jobs.add_result(connection, job_id, "radius", report.site, report_id)
        jobs.warn(connection, job_id, report.warnings)

    current.write(record)
    collect_staging(current.settings.staging_root, report_id)
    progress(0 if arguments.get("split") else summary.n, final=True)  # parts have told of the rows themselves
    return {"report": report_id}


def _write_report(
    folder: Path,
    job_id: str,
    arguments: dict[str, Any],
    spec: RadiusSpec,
    summary: ActivationSummary,
    statistics: ActivationStatistics,
    progress: SegmentProgress,
) -> None:
    began = time.perf_counter()
    settings, split = runtime().settings, arguments.get("split")
    source, reference = sets_of(spec)
    given = read_input(spec, source, reference)
    loaded = time.perf_counter()
    sizes = prefix_sizes(len(given.database), spec.fractions)
    if split:
        found = gather_parts(given, arguments, progress)
    else:
        found = search(given, spec, settings, lambda share: progress(int(share * summary.n)))
    searched = time.perf_counter()
    null = None
    if reference is None and arguments.get("null"):
        null = read_null(arguments, sizes)
    elif reference is None:
        spectrum = covariance_spectrum(given.database, source.mean())
        null = gaussian_null(spectrum, sizes, queries=settings.null_queries, seed=spec.seed)
    drawn = time.perf_counter()
    fractions = fraction_reports(spec.fractions, found.parts, sizes, found.approximations)
    whole, inside = found.parts[-1], reference is None
    codes = given.codes[whole.rows] if given.codes is not None and inside else None
    counts = None if found.counts is None else counts_report(spec.radii or [], found.counts, codes)
    reported = time.perf_counter()
    partition, no_partition = partition_report(summary.d_model, whole, fractions[-1], codes, in_reference=not inside)
    partitioned = time.perf_counter()
    chunk_tokens = source.manifest.get("extraction", {}).get("chunk_tokens")
    report = RadiusReport(
        id=arguments["report"],
        job=job_id,
        activations=summary.id,
        reference=None if reference is None else spec.reference,
        site=summary.site,
        name=summary.name,
        n=summary.n,
        d_model=summary.d_model,
        engine=found.engine,
        engine_reason=found.reason,
        exclude=spec.exclude,
        certified_fraction=min(part.certified for part in found.parts),
        fractions=fractions,
        theory=report_theory(summary.d_model, max(1, sizes[-1]), chunk_tokens),
        null_model=None if null is None else null_report(null, fractions),
        counts=counts,
        partition=partition,
        partition_reason=no_partition,
        warnings=report_warnings(spec, statistics, fractions, given.codes is None, summary.n if reference else None),
        timing=_timing(found, began, searched, drawn, partitioned - reported, loaded - began),
        provenance=_provenance(spec, summary, found),
        created_at=now(),
    )
    _write_files(folder, report, found.parts)


def _timing(
    found: Found, began: float, searched: float, drawn: float, partition_s: float, load_s: float
) -> dict[str, float]:
    """Seconds. Of a search in parts `search_s` is the work of all workers, `search_wall_s` what it took by the clock.

    `total_s` is by the clock: from loading, or from the plan of the parts, to the report.
    """
    ended = time.perf_counter()
    known = {"load_s": load_s, "search_s": found.search_s, "count_s": found.count_s, "null_s": drawn - searched}
    known["partition_s"] = partition_s
    if found.wall_s is None:
        return known | {"total_s": ended - began}
    return known | {"search_wall_s": found.wall_s, "total_s": found.wall_s + ended - searched}


def _write_files(folder: Path, report: RadiusReport, found: list[Neighbors]) -> None:
    tensors = {f"nn_distance_{index}": part.distances[:, 0] for index, part in enumerate(found)}
    whole = found[-1]
    tensors |= {"rows": whole.rows, "distances": whole.distances, "ids": whole.ids}
    save_tensors(folder / NEIGHBORS, tensors)
    figures = draw_radius_figure(report, folder / FIGURE)
    write_report(folder, "radius", report, [folder / NEIGHBORS, *figures])


def _provenance(spec: RadiusSpec, summary: ActivationSummary, found: Found) -> dict[str, Any]:
    return provenance(
        _PACKAGES,
        seed=spec.seed,
        device=found.work["on"]["device"],
        dtype=summary.dtype,
        activations_sha256=summary.sha256,
        searched_sha256=found.searched_sha256,
        search=found.work,
    )


def _row(report: RadiusReport, sha256: str) -> dict[str, Any]:
    whole = report.fractions[-1].nn_distance
    row = report.model_dump(include={"id", "job", "activations", "site", "name", "n", "d_model", "created_at"})
    centre = None if whole is None else {"mean": whole.mean, "median": whole.median}
    return row | {"nn_distance": centre, "sha256": sha256}
