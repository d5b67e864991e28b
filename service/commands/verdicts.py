"""The printed table of a reproduction: a verdict for each claim."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from service.commands.output import console, say
from service.contracts.reproduction import ReproductionReport
from service.reproduction.words import MARKS, VERDICTS, counts_text

_STYLES = {"reproduced": "green", "contradicted": "red", "not_identifiable": "yellow"}


def print_reproduction(report: ReproductionReport) -> None:
    """Print a line for each claim, and the warnings."""
    table = Table(
        title=f"{report.model}, {report.corpus}, scale {report.scale}: {counts_text(report)}",
        title_justify="left",
        box=None,
    )
    for name in ("claim", "verdict", "in a sentence"):
        table.add_column(name, no_wrap=name != "in a sentence")
    for claim in report.claims:
        verdict = Text(f"{MARKS[claim.verdict]} {VERDICTS[claim.verdict]}", _STYLES.get(claim.verdict, ""))
        table.add_row(claim.id, verdict, claim.reason)
    console.print(table)
    for notice in report.warnings:
        say(notice.message, "note", "yellow")
