"""Segment: an activation set → its radius report, the neighbours behind it and the figure, published."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from service.artifacts.activation_set import save_tensors
from service.artifacts.report import FIGURE, NEIGHBORS, ReportFolder, write_report
from service.catalog import activations, jobs
from service.catalog import radius as radius_catalog
from service.catalog.engine import Connection
from service.contracts.activations import ActivationStatistics, ActivationSummary
from service.contracts.base import Notice, now
from service.contracts.radius import FractionReport, RadiusReport
from service.provenance import provenance
from service.theory.radius import report_theory
from workers.devices.device import choose_device
from workers.figures.radius import draw_radius_figure
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.precision import measured_forward, precision_notices
from workers.flows.publishing import Change, Draft, publish
from workers.flows.radius.arguments import RADIUS, RadiusReported, ReportArguments
from workers.flows.radius.description import describe, notices_on
from workers.flows.radius.fields import counts_report, fraction_reports, null_report, report_warnings
from workers.flows.radius.joining import join_parts, read_null
from workers.flows.radius.neighbor_files import write_neighbor_files
from workers.flows.radius.notices import kernel_notices
from workers.flows.radius.partition import partition_report
from workers.flows.radius.search import Found, SetSearch, open_search, search
from workers.flows.radius.statistics import SetStatistics
from workers.models.layer_norm import is_layer_norm_output
from workers.neighbors.answers import Neighbors
from workers.neighbors.null_model import GaussianNull, gaussian_null, principal_deviations

_PACKAGES = ("numpy", "scipy", "faiss-cpu", "faiss-gpu", "matplotlib")


@runs(RADIUS)
def measure_radius(arguments: ReportArguments, owner: SegmentOwner) -> RadiusReported:
    """Compute and publish the report; a sound one that an earlier owner published is kept."""
    current, job_id = owner.runtime, owner.job_id
    summary, statistics = current.read(lambda connection: activations.get(connection, arguments.spec.activations))
    if arguments.sets_total:
        current.write(lambda connection: jobs.set_total(connection, job_id, summary.n, "rows"))
    target = current.artifact(arguments.report)
    draft = Draft(target, partial(_write_report, arguments, owner, summary, statistics))
    publish(owner, [draft], record=partial(_recorded, job_id, target))
    owner.progress(0 if arguments.parts else summary.n, final=True)  # parts have counted the rows themselves
    return RadiusReported(report=arguments.report)


def _recorded(job_id: str, target: Path, digests: list[str]) -> Change:
    """The change that makes the report visible: its row, the job's result and warnings."""
    report = ReportFolder(target, digests[0]).report()

    def record(connection: Connection) -> None:
        radius_catalog.publish(connection, _row(report, digests[0]))
        jobs.add_result(connection, job_id, "radius", report.site, report.id)
        jobs.warn(connection, job_id, report.warnings)

    return record


def _write_report(
    arguments: ReportArguments,
    owner: SegmentOwner,
    summary: ActivationSummary,
    statistics: ActivationStatistics,
    folder: Path,
) -> None:
    began, spec = time.perf_counter(), arguments.spec
    sets = open_search(spec, owner.runtime)
    question, loaded = sets.question, time.perf_counter()
    found = _find(arguments, sets, owner)
    searched = time.perf_counter()
    null = _null_model(arguments, sets, owner)
    drawn = time.perf_counter()
    measured = SetStatistics(sets, found, owner.runtime.settings, beat=lambda: owner.progress(0))
    errors = measured.of_fractions() if spec.statistics else None
    sizes = list(question.sizes)
    fractions = fraction_reports(spec.fractions, found.parts, sizes, found.approximations, errors)
    described = describe(measured, errors, null, statistics, fractions, summary.d_model)
    described_s = time.perf_counter() - drawn
    whole = found.parts[-1]
    codes = question.codes[whole.rows] if question.codes is not None and sets.within else None
    counts = None if found.counts is None else counts_report(spec.radii or [], found.counts, codes)
    reported = time.perf_counter()
    partition, no_partition = partition_report(
        summary.d_model, whole, fractions[-1], codes, in_reference=not sets.within
    )
    partition_s = time.perf_counter() - reported
    about = sets.queries.manifest
    chunk_tokens = about.get("extraction", {}).get("chunk_tokens")
    report = RadiusReport(
        id=arguments.report,
        job=owner.job_id,
        activations=summary.id,
        reference=None if sets.within else spec.reference,
        site=summary.site,
        name=summary.name,
        n=summary.n,
        d_model=summary.d_model,
        engine=found.engine,
        engine_reason=found.reason,
        exclude=spec.exclude,
        certified_fraction=min(part.certified for part in found.parts),
        fractions=fractions,
        theory=report_theory(
            summary.d_model, max(1, question.sizes[-1]), chunk_tokens, layer_norm=_of_layer_norm(about)
        ),
        null_model=None if null is None else null_report(null, fractions),
        counts=counts,
        partition=partition,
        partition_reason=no_partition,
        warnings=_warnings(sets, summary, statistics, fractions)
        + kernel_notices(found.account.kernel)
        + notices_on(described, statistics, summary.n, fractions[-1].duplicates),
        timing=_timing(found, began, searched, drawn, partition_s, loaded - began) | {"statistics_s": described_s},
        provenance=_provenance(sets, summary, found),
        created_at=now(),
        **described.fields(),
    )
    _write_files(folder, report, found.parts)


def _warnings(
    sets: SetSearch, summary: ActivationSummary, statistics: ActivationStatistics, fractions: list[FractionReport]
) -> list[Notice]:
    no_documents, queries = sets.question.codes is None, None if sets.within else summary.n
    found = report_warnings(sets.spec, statistics, fractions, no_documents, queries, summary.d_model)
    distinct, searched = (
        fractions[-1].nn_distance_distinct,
        [sets.queries] if sets.within else [sets.queries, sets.database],
    )
    forwards = [measured_forward(part.manifest) for part in searched]
    return found + precision_notices(forwards, 0.0 if distinct is None else distinct.median)


def _of_layer_norm(about: dict[str, Any]) -> bool:
    """Whether the set with this manifest is of a LayerNorm's output; imported vectors are of no known model."""
    if "model" not in about:
        return False
    return is_layer_norm_output(about["site"], about["layer"], about["model"]["config"])


def _find(arguments: ReportArguments, sets: SetSearch, owner: SegmentOwner) -> Found:
    """The answer of the parts, or of a search here."""
    if arguments.parts is not None:
        return join_parts(sets, arguments.report, arguments.parts, owner)
    rows = sets.query_rows
    return search(sets, owner.runtime.settings, lambda share: owner.progress(int(share * rows)))


def _null_model(arguments: ReportArguments, sets: SetSearch, owner: SegmentOwner) -> GaussianNull | None:
    """The Gaussian of the same mean and covariance; None where another set is searched."""
    if not sets.within:
        return None
    sizes = list(sets.question.sizes)
    staged = None if arguments.null is None else read_null(arguments, len(sizes), owner.runtime)
    if staged is not None:
        return staged
    settings = owner.runtime.settings
    device = choose_device(settings.device)
    deviations = principal_deviations(sets.question.database, sets.database.mean(), device)
    return gaussian_null(deviations, sizes, queries=settings.null_queries, seed=arguments.spec.seed, device=device)


def _timing(
    found: Found, began: float, searched: float, drawn: float, partition_s: float, load_s: float
) -> dict[str, float]:
    """Seconds. Of a search in parts `search_s` is the work of all workers, `search_wall_s` the elapsed time.

    `total_s` is elapsed time: from loading, or from the plan of the parts, to the report.
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
    kept = folder / f"{NEIGHBORS}.safetensors"
    save_tensors(kept, tensors)
    figures = draw_radius_figure(report, folder / FIGURE)
    write_report(folder, "radius", report, [kept, *write_neighbor_files(folder, whole), *figures])


def _provenance(sets: SetSearch, summary: ActivationSummary, found: Found) -> dict[str, Any]:
    return provenance(
        _PACKAGES,
        seed=sets.spec.seed,
        device=str(found.account.device),
        dtype=summary.dtype,
        activations_sha256=summary.sha256,
        searched_sha256=sets.database.sha256,
        search=found.account.as_stored(),
    )


def _row(report: RadiusReport, sha256: str) -> dict[str, Any]:
    whole = report.fractions[-1].nn_distance
    row = report.model_dump(include={"id", "job", "activations", "site", "name", "n", "d_model", "created_at"})
    centre = None if whole is None else {"mean": whole.mean, "median": whole.median}
    return row | {"nn_distance": centre, "sha256": sha256}
