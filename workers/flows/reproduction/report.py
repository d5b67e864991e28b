"""Segment: the evidence of the parts → the report in three forms and a figure for each claim, published as a view."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from service.artifacts.atomic import write_bytes
from service.artifacts.manifest import canonical_json
from service.catalog import jobs, reproductions, segments
from service.catalog.engine import Connection
from service.contracts.base import now
from service.contracts.reproduction import ReproductionReport
from service.provenance import provenance
from service.reproduction.charts import chart_svg
from service.reproduction.errata import errata
from service.reproduction.evidence import result
from service.reproduction.html import report_html
from service.reproduction.markdown import report_markdown
from service.reproduction.required_jobs import claims_of, corpus_of
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.segments import runs
from workers.flows.reproduction.arguments import REPORT, ReportArguments, Reported
from workers.flows.reproduction.costs import undecided
from workers.flows.reproduction.gathering import gather_evidence
from workers.flows.training.growing_folders import publish_view, remove_older_views

_PACKAGES = ("torch", "numpy", "scipy")


@runs(REPORT)
def publish_report(arguments: ReportArguments, owner: SegmentOwner) -> Reported:
    """Judge every claim on what there is, and publish; the view of an earlier owner is replaced only if damaged."""
    report = _report(arguments, owner)
    view = publish_view(report.id, arguments.view, owner, partial(_write, report))
    row = {
        "id": report.id,
        "job": owner.job_id,
        "name": f"reproduction, scale {report.scale}",
        "scale": report.scale,
        "model": report.model,
        "corpus": report.corpus,
        "verdicts": {claim.id: claim.verdict for claim in report.claims},
        "complete": report.complete,
        "created_at": report.created_at,
    }

    def record(connection: Connection) -> None:
        reproductions.publish(connection, row | view)
        jobs.add_result(connection, owner.job_id, "reproduction", None, report.id)
        jobs.warn(connection, owner.job_id, arguments.warnings)

    owner.record(record)
    remove_older_views(report.id, arguments.view, owner)
    _count_claims(arguments.settled, owner)
    return Reported(report=report.id)


def _count_claims(settled: int, owner: SegmentOwner) -> None:
    """Record as this segment's work the settled claims that no earlier view has counted."""
    counted = owner.runtime.read(lambda connection: segments.done_elsewhere(connection, owner.job_id, owner.segment))
    owner.progress(max(0, settled - counted), final=True)


def _report(arguments: ReportArguments, owner: SegmentOwner) -> ReproductionReport:
    spec = arguments.spec
    evidence, parts = gather_evidence(arguments.outcomes, arguments.held_out, owner.runtime)
    claims = [result(claim, spec, evidence, parts) for claim in claims_of(spec)]
    return ReproductionReport(
        id=arguments.report,
        job=owner.job_id,
        scale=spec.scale,
        seed=spec.seed,
        model=arguments.model,
        corpus=corpus_of(spec),
        complete=arguments.complete,
        claims=claims,
        not_run=undecided(claims, spec, owner.runtime),
        errata=errata(),
        runs=list(parts.values()),
        warnings=arguments.warnings,
        provenance=provenance(_PACKAGES, seed=spec.seed),
        created_at=now(),
    )


def _write(report: ReproductionReport, folder: Path) -> list[Path]:
    files = {
        "report.json": canonical_json(report.model_dump(mode="json")),
        "report.md": report_markdown(report).encode(),
        "report.html": report_html(report).encode(),
    }
    for claim in report.claims:
        drawn = "" if claim.chart is None else chart_svg(claim.id, claim.chart)
        if drawn:
            files[f"figure-{claim.id}.svg"] = drawn.encode()
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]
