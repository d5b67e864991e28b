"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from service.contracts.reproduction import ClaimResult, ReproductionReport
from service.reproduction.charts import alternative
from service.reproduction.words import (
    VERDICTS,
    counts_text,
    interval_text,
    measured_text,
    printed_text,
    run_text,
    value_text,
)


def report_markdown(report: ReproductionReport) -> str:
    """The table of verdicts, a section for each claim, what was not run, the errata."""
    lines = [
        f"# Reproduction report, scale {report.scale}",
        "",
        f"Model {_cell(report.model)}, corpus {_cell(report.corpus)}, seed {report.seed}. {counts_text(report)}.",
        *([] if report.complete else ["", "Some parts still run; the report will be published anew."]),
        *(f"\nNote: {_cell(notice.message)}" for notice in report.warnings),
        "",
        "| claim | where | verdict | the claim, and what was found |",
        "|---|---|---|---|",
        *(_verdict_row(claim) for claim in report.claims),
        "",
    ]
    for claim in report.claims:
        lines += _section(report, claim)
    lines += [
        "## Not run",
        "",
        *(
            _bullets(f"{each.claim}: {_cell(each.reason)} {_cell(each.cost or '')}" for each in report.not_run)
            or ["Every claim was run."]
        ),
    ]
    lines += [
        "",
        "## Errata of the formulas",
        "",
        *_bullets(f"{each.where}: {_cell(each.text)}" for each in report.errata),
    ]
    commit = report.provenance.get("commit")
    return "\n".join([*lines, "", f"Report {report.id} of job {report.job}, commit {commit}.", ""])


def _verdict_row(claim: ClaimResult) -> str:
    found = f"*{_cell(claim.statement)}* {_cell(claim.reason)}"
    return f"| {claim.id} | {claim.where} | {VERDICTS[claim.verdict]} | {found} |"


def _section(report: ReproductionReport, claim: ClaimResult) -> list[str]:
    lines = [
        f"## {claim.id} ({claim.where}): {VERDICTS[claim.verdict]}",
        "",
        _cell(claim.statement),
        "",
        f"- printed: {_cell(printed_text(claim))}",
        f"- measured: {_cell(measured_text(claim))}",
        f"- null: {value_text(claim.null)}",
        f"- tolerance: {value_text(claim.tolerance)}. {claim.rule}",
        f"- {_cell(claim.reason)}",
    ]
    lines += [f"- run for {run.part}: {_cell(run_text(run))}" for run in report.runs if run.part in claim.runs]
    lines += [f"- evidence: {', '.join(claim.evidence)}"] if claim.evidence else []
    if claim.numbers:
        lines += ["", "| number | value | 95 % |", "|---|---|---|"]
        lines += [
            f"| {_cell(line.name)} | {_cell(value_text(line.value))} | {interval_text(line.interval)} |"
            for line in claim.numbers
        ]
    if claim.chart is not None:
        lines += ["", f"Figure: {_cell(alternative(claim.chart))}"]
    return [*lines, ""]


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line.strip()}" for line in lines]


def _cell(text: str) -> str:
    """Text of a table cell: no markup of names, one line."""
    for mark in ("\\", "|", "`", "*", "_", "<", "[", "]"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
