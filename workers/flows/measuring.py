"""Segment: an activation set → its radius report, the neighbours behind it, and the figure."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts.activation_set import ActivationSet, save_tensors
from service.artifacts.atomic import publish_folder, sha256_file, write_bytes
from service.artifacts.manifest import MANIFEST, canonical_json, describe_file, write_manifest
from service.catalog import activations, jobs
from service.catalog import radius as radius_catalog
from service.contracts.activations import ActivationStatistics, ActivationSummary
from service.contracts.base import Notice, now
from service.contracts.radius import (
    QUANTILES,
    Centre,
    Distribution,
    FractionReport,
    Histogram,
    NullFraction,
    NullModel,
    RadiusReport,
    RadiusSpec,
)
from service.provenance import provenance
from service.theory.radius import report_theory
from workers.figures.radius import draw_radius_figure
from workers.flows.runtime import SegmentProgress, runtime
from workers.neighbors.faiss_index import cached_flat
from workers.neighbors.nested import Neighbors, SearchWork, nested_neighbors
from workers.neighbors.null_model import GaussianNull, covariance_spectrum, gaussian_null
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.statistics import histogram, nearest_statistics, shared_edges

Array = np.ndarray
REPORT, NEIGHBORS, FIGURE = "report.json", "neighbors.safetensors", "figure"
_BINS = 60
_PACKAGES = ("numpy", "scipy", "faiss-cpu", "faiss-gpu", "matplotlib")
_MASSIVE_SHARE = 0.5
_FEW_ROWS = 100


def measure_radius(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Compute and publish the report `arguments["report"]`; one that is there already is kept."""
    current, report_id = runtime(), arguments["report"]
    spec = RadiusSpec(**{name: arguments[name] for name in RadiusSpec.model_fields if name in arguments})
    with current.catalog.read() as connection:
        summary, statistics = activations.get(connection, spec.activations)
    if arguments["alone"]:
        with current.catalog.begin() as connection:
            jobs.plan(connection, job_id, summary.n, "rows")
    target = current.artifact(report_id)
    if not (target / MANIFEST).exists():
        folder = current.staging(report_id)
        shutil.rmtree(folder, ignore_errors=True)
        _write_report(folder, job_id, report_id, spec, summary, statistics, progress)
        publish_folder(folder, target)
    report = RadiusReport.model_validate_json((target / REPORT).read_bytes())
    with current.catalog.begin() as connection:
        radius_catalog.publish(connection, _row(report, target))
        jobs.add_result(connection, job_id, "radius", report.site, report_id)
        jobs.warn(connection, job_id, report.warnings)
    progress(summary.n, final=True)
    return {"report": report_id}


def _write_report(
    folder: Path,
    job_id: str,
    report_id: str,
    spec: RadiusSpec,
    summary: ActivationSummary,
    statistics: ActivationStatistics,
    progress: SegmentProgress,
) -> None:
    began = time.perf_counter()
    settings = runtime().settings
    source = ActivationSet(runtime().artifact(summary.id), summary.sha256)
    stored, mean = source.vectors(), source.mean()
    documents = source.document_codes() if spec.exclude == "same_document" else None
    loaded = time.perf_counter()
    index = cached_flat(settings.index_cache, summary.sha256, stored, mean)
    sizes = prefix_sizes(summary.n, spec.fractions)
    permutation = seeded_permutation(summary.n, spec.seed)
    found, work = nested_neighbors(stored, index, permutation, sizes, k=spec.k, documents=documents, tick=progress)
    searched = time.perf_counter()
    null = gaussian_null(covariance_spectrum(stored, mean), sizes, queries=settings.null_queries, seed=spec.seed)
    fractions = fraction_reports(spec.fractions, found)
    chunk_tokens = source.manifest.get("extraction", {}).get("chunk_tokens")
    report = RadiusReport(
        id=report_id,
        job=job_id,
        activations=summary.id,
        site=summary.site,
        name=summary.name,
        n=summary.n,
        d_model=summary.d_model,
        engine="faiss-flat",
        exclude=spec.exclude,
        certified_fraction=min(part.certified for part in found),
        fractions=fractions,
        theory=report_theory(summary.d_model, max(1, sizes[-1]), chunk_tokens),
        null_model=null_report(null, fractions, settings.null_queries),
        warnings=report_warnings(spec, statistics, fractions, documents is None),
        timing={
            "load_s": loaded - began,
            "search_s": searched - loaded,
            "null_s": time.perf_counter() - searched,
            "total_s": time.perf_counter() - began,
        },
        provenance=_provenance(spec, summary, work),
        created_at=now(),
    )
    _write_files(folder, report, found)


def _write_files(folder: Path, report: RadiusReport, found: list[Neighbors]) -> None:
    write_bytes(folder / REPORT, canonical_json(report.model_dump(mode="json")))
    tensors = {f"nn_distance_{index}": part.distances[:, 0] for index, part in enumerate(found)}
    whole = found[-1]
    tensors |= {"rows": whole.rows, "distances": whole.distances, "ids": whole.ids}
    save_tensors(folder / NEIGHBORS, tensors)
    figures = draw_radius_figure(report, folder / FIGURE)
    files = [describe_file(path) for path in (folder / REPORT, folder / NEIGHBORS, *figures)]
    write_manifest(folder, {"kind": "radius", "id": report.id, "files": files})


def fraction_reports(fractions: list[float], found: list[Neighbors]) -> list[FractionReport]:
    """One report per fraction, with histograms over the same edges."""
    samples = [part.distances[:, 0] for part in found]
    edges = shared_edges(samples, _BINS)
    return [_fraction_report(f, distances, edges) for f, distances in zip(fractions, samples, strict=True)]


def _fraction_report(fraction: float, distances: Array, edges: Array) -> FractionReport:
    n = len(distances)
    statistics = nearest_statistics(distances, QUANTILES)
    reason = None
    if statistics.all is None:
        reason = "fewer than 2 rows" if n < 2 else "exclude leaves no other row"
    whole = statistics.all
    return FractionReport(
        fraction=fraction,
        n=n,
        nn_distance=None if whole is None else Distribution(**asdict(whole)),
        nn_distance_distinct=None if statistics.distinct is None else Distribution(**asdict(statistics.distinct)),
        radius=None if whole is None else Centre(mean=whole.mean / 2, median=whole.median / 2),
        duplicates=statistics.duplicates,
        without_neighbor=statistics.alone,
        histogram=None
        if whole is None
        else Histogram(edges=[float(edge) for edge in edges], counts=histogram(distances, edges)),
        reason=reason,
    )


def null_report(null: GaussianNull, fractions: list[FractionReport], queries: int) -> NullModel:
    """The null model beside what was observed."""
    parts = []
    for observed, distances in zip(fractions, null.distances, strict=True):
        centre = Centre(mean=float(distances.mean()), median=float(np.median(distances))) if len(distances) else None
        ratio = None
        if centre is not None and centre.mean > 0 and observed.nn_distance is not None:
            ratio = observed.nn_distance.mean / centre.mean
        parts.append(
            NullFraction(fraction=observed.fraction, n=observed.n, nn_distance=centre, observed_over_null=ratio)
        )
    return NullModel(kind="gaussian", queries=min(queries, fractions[-1].n), rank=null.rank, fractions=parts)


def report_warnings(
    spec: RadiusSpec, statistics: ActivationStatistics, fractions: list[FractionReport], no_documents: bool
) -> list[Notice]:
    """What a reader of the numbers should know before believing them."""
    found = []
    whole = fractions[-1]
    if statistics.top5_share > _MASSIVE_SHARE:
        found.append(
            Notice(
                code="massive_dimensions",
                message=f"five of the dimensions hold {statistics.top5_share:.0%} of the squared norm "
                f"and {statistics.top5_variance_share:.0%} of the variance; L2 distances speak mostly of the latter",
            )
        )
    if whole.duplicates:
        share = whole.duplicates / whole.n
        found.append(
            Notice(
                code="duplicates",
                message=f"{whole.duplicates} of {whole.n} rows ({share:.1%}) equal another row; "
                "nn_distance counts their zeros, nn_distance_distinct does not",
            )
        )
    if fractions[0].n < _FEW_ROWS:
        found.append(
            Notice(code="few_rows", message=f"the smallest fraction has {fractions[0].n} rows; its figures are noisy")
        )
    if spec.exclude == "same_document" and no_documents:
        found.append(Notice(code="no_documents", message="the set has no documents; only the row itself was excluded"))
    return found


def _provenance(spec: RadiusSpec, summary: ActivationSummary, work: SearchWork) -> dict[str, Any]:
    return provenance(
        _PACKAGES,
        seed=spec.seed,
        device="cpu",
        dtype=summary.dtype,
        activations_sha256=summary.sha256,
        search=asdict(work),
    )


def _row(report: RadiusReport, folder: Path) -> dict[str, Any]:
    whole = report.fractions[-1].nn_distance
    row = report.model_dump(include={"id", "job", "activations", "site", "name", "n", "d_model", "created_at"})
    centre = None if whole is None else {"mean": whole.mean, "median": whole.median}
    return row | {"nn_distance": centre, "sha256": sha256_file(folder / MANIFEST)}
