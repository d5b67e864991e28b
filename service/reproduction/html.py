"""The report as one HTML file: inline style and SVG, no script and no request, light and dark, for screen and paper."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from service.contracts.reproduction import ClaimResult, NotRun, ReproductionReport
from service.reproduction.charts import chart_svg
from service.reproduction.words import (
    MARKS,
    VERDICTS,
    counts_text,
    interval_text,
    measured_text,
    printed_text,
    run_text,
    value_text,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #5a6472; --line: #d5dae1; --band: #f4f6f8;
  --reproduced: #1d7a3c; --contradicted: #b3261e; --not_identifiable: #8a6100; --not_at_this_scale: #5a6472;
  --not_run: #5a6472; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14171b; --soft: #a0aab8; --line: #353c46;
  --band: #1d2229; --reproduced: #6cc58a; --contradicted: #ff8a80; --not_identifiable: #e0b341;
  --not_at_this_scale: #a0aab8; --not_run: #a0aab8; } }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .4rem; } a { color: inherit; }
.soft { color: var(--soft); } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td, code, li { overflow-wrap: anywhere; } .scroll { overflow-x: auto; }
nav ol { columns: 3 14rem; padding-left: 0; list-style: none; font-size: .92rem; }
.verdict { font-weight: 600; white-space: nowrap; } .rule { background: var(--band); padding: .5rem .8rem; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; } dt { font-weight: 600; } dd { margin: 0 0 .3rem; }
dl.facts { display: grid; grid-template-columns: 8rem 1fr; gap: .15rem .8rem; margin: .6rem 0; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } section { break-inside: avoid-page; }
  nav { display: none; } a { text-decoration: none; } }
@media (max-width: 30rem) { dl.facts { grid-template-columns: 1fr; } }
"""


def report_html(report: ReproductionReport) -> str:
    """The whole document; every name in it is escaped."""
    title = f"Reproduction report, scale {escape(report.scale)}"
    body = [
        f'<h1>{title}</h1><p class="soft">Model {escape(report.model)}, corpus {escape(report.corpus)}, seed '
        f"{report.seed}. {escape(counts_text(report))}.</p>",
        "" if report.complete else "<p>Some parts still run; the report will be published anew.</p>",
        *(f"<p>Note: {escape(notice.message)}</p>" for notice in report.warnings),
        _contents(report),
        _verdicts(report),
        *(_section(report, claim) for claim in report.claims),
        _not_run(report.not_run),
        '<h2 id="errata">Errata of the formulas</h2>',
        _items(f"<strong>{escape(each.where)}</strong>: {escape(each.text)}" for each in report.errata),
        _provenance(report),
    ]
    style = "\n".join(f".{name} {{ color: var(--{name}); }}" for name in VERDICTS)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}{style}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _contents(report: ReproductionReport) -> str:
    links = "".join(f'<li><a href="#{claim.id}">{claim.id}</a> {escape(claim.where)}</li>' for claim in report.claims)
    ends = '<li><a href="#not-run">Not run</a></li><li><a href="#errata">Errata</a></li>'
    return f'<nav aria-label="Contents"><ol>{links}{ends}</ol></nav>'


def _verdicts(report: ReproductionReport) -> str:
    rows = "".join(
        f'<tr><th scope="row"><a href="#{claim.id}">{claim.id}</a></th><td>{escape(claim.where)}</td>'
        f'<td>{_verdict(claim)}</td><td><span class="soft">{escape(claim.statement)}</span><br>'
        f"{escape(claim.reason)}</td></tr>"
        for claim in report.claims
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("claim", "where", "verdict", "the claim, and what was found")
    )
    return f'<h2 id="verdicts">Verdicts</h2>{_table(head, rows)}'


def _table(head: str, rows: str) -> str:
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _verdict(claim: ClaimResult) -> str:
    return f'<span class="verdict {claim.verdict}">{MARKS[claim.verdict]} {VERDICTS[claim.verdict]}</span>'


def _section(report: ReproductionReport, claim: ClaimResult) -> str:
    facts = {
        "printed": printed_text(claim),
        "measured": measured_text(claim),
        "null": value_text(claim.null),
        "tolerance": value_text(claim.tolerance),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    figure = "" if claim.chart is None else chart_svg(claim.id, claim.chart)
    runs = [f"{run.part}: {run_text(run)}" for run in report.runs if run.part in claim.runs]
    links = ", ".join(f"<code>{escape(link)}</code>" for link in claim.evidence)
    return (
        f'<section id="{claim.id}"><h2>{claim.id}, {escape(claim.where)}: {_verdict(claim)}</h2>'
        f"<p>{escape(claim.statement)}</p><p>{escape(claim.reason)}</p><dl class='facts'>{listed}</dl>"
        f'<p class="rule">{escape(claim.rule)}</p>'
        + (f"<figure>{figure}</figure>" if figure else "")
        + _numbers(claim)
        + (
            f"<h3>What was run</h3>{_items(escape(run) for run in runs)}"
            if runs
            else '<p class="soft">Computed; nothing was run.</p>'
        )
        + (f"<p>Evidence: {links}</p>" if links else "")
        + "</section>"
    )


def _numbers(claim: ClaimResult) -> str:
    if not claim.numbers:
        return ""
    rows = "".join(
        f'<tr><td>{escape(line.name)}</td><td class="number">{escape(value_text(line.value))}</td>'
        f'<td class="number">{escape(interval_text(line.interval))}</td></tr>'
        if not isinstance(line.value, str)
        else f'<tr><td>{escape(line.name)}</td><td colspan="2">{escape(line.value)}</td></tr>'
        for line in claim.numbers
    )
    head = (
        '<th scope="col">number</th><th scope="col" class="number">value</th><th scope="col" class="number">95 %</th>'
    )
    return _table(head, rows)


def _not_run(missing: list[NotRun]) -> str:
    lines = (f"<strong>{each.claim}</strong>: {escape(each.reason)} {escape(each.cost or '')}" for each in missing)
    listed = _items(lines) if missing else "<p>Every claim was run.</p>"
    return f'<h2 id="not-run">Not run, and what it would cost</h2>{listed}'


def _items(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _provenance(report: ReproductionReport) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in report.provenance.get("versions", {}).items())
    commit = report.provenance.get("commit") or "unknown"
    return (
        f'<h2 id="provenance">Provenance</h2><p class="soft">Report {escape(report.id)} of job {escape(report.job)}; '
        f"commit {escape(str(commit))}; {escape(versions)}.</p>"
    )
