"""Terminal output of a radius report."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from service.commands.output import console, say
from service.commands.statistics import statistics_lines
from service.contracts.partition import Partition
from service.contracts.radius import RadiusReport
from service.rounding import with_error

_SMALLEST, _LARGEST = 1e-6, 1e9  # of a number that is printed as it is; others as a power of e


def report_table(report: RadiusReport) -> Table:
    """Distances per fraction, beside the null model; within 80 columns."""
    table = Table(title=title_of(report), title_justify="left", box=None)
    for name in ("fraction", "n", "NN mean", "NN median", "radius", "Gaussian null", "duplicates"):
        table.add_column(name, justify="right", no_wrap=True)
    nulls = report.null_model.fractions if report.null_model is not None else [None] * len(report.fractions)
    for part, null in zip(report.fractions, nulls, strict=True):
        if part.nn_distance is None or part.radius is None:
            table.add_row(f"{part.fraction:.0%}", f"{part.n:,}", part.reason or "", "", "", "", "")
            continue
        null_mean = "" if null is None or null.nn_distance is None else f"{null.nn_distance.mean:.4f}"
        distance, error = part.nn_distance, part.nn_distance.uncertainty
        interval = None if error is None else error.mean.interval
        mean = with_error(distance.mean, interval, ".4f")
        cells = (mean, f"{distance.median:.4f}", f"{part.radius.mean:.4f}", null_mean)
        table.add_row(f"{part.fraction:.0%}", f"{part.n:,}", *cells, f"{part.duplicates:,}")
    return table


def title_of(report: RadiusReport) -> Text:
    """The name of the set, whole, and its size."""
    return Text(f"{report.name}\n{report.n:,} patterns, d_model {report.d_model}", no_wrap=True, overflow="fold")


def theory_lines(report: RadiusReport) -> Iterator[str]:
    """The paper's formula and the correct ones, what ± means, and how the neighbours were found."""
    literal, corrected = report.theory["paper_literal"], report.theory["corrected"]
    yield (
        f"theory, n = {literal['n']}: paper √(n/2πe) radius {literal['radius']:.4f}, distance "
        f"{literal['nn_distance']:.4f}"
    )
    yield (
        f"corrected: unit-volume radius {corrected['unit_volume_radius']:.4f}, Z = 1 radius "
        f"{corrected['unit_partition_radius']:.4f}"
    )
    if line := _error_line(report):
        yield line
    yield (
        f"engine {report.engine}, certified {report.certified_fraction:.0%}, search {report.timing['search_s']:.2f} s"
    )


def essential_lines(report: RadiusReport) -> Iterator[tuple[str, str]]:
    """A word and a line for each result that is read first: theory, dimension, the Gaussian null, exactness."""
    theory, _, *rest = theory_lines(report)
    yield "theory", theory.removeprefix("theory, ")
    yield from ((word, line) for word, line in statistics_lines(report) if word == "dimension" or "gaussian:" in line)
    yield from (("search" if line.startswith("engine") else "interval", line) for line in rest)


def _error_line(report: RadiusReport) -> str:
    """A line that explains ±, where the table has it."""
    whole = report.fractions[-1].nn_distance
    error = None if whole is None else whole.uncertainty
    if error is None or error.mean.interval is None or error.documents is None:
        return ""
    unit = "rows, each taken as a document" if error.rows_are_documents else "documents"
    return f"± is half of the 95 % interval, by {error.documents:,} {unit}"


def counts_table(report: RadiusReport) -> Table:
    """Pairs within each radius, and the number of neighbours of a row."""
    counts = report.counts
    title = "the spec has no radii" if counts is None else f"{counts.n:,} rows; {counts.ball}"
    table = Table(title=title, title_justify="left")
    for name in ("radius", "pairs", "share of pairs", "mean", "median", "max", "rows without"):
        table.add_column(name, justify="right")
    for part in [] if counts is None else counts.radii:
        share = "" if part.share is None else f"{part.share:.3e}"
        of_row = part.neighbors
        table.add_row(
            f"{part.radius:.12g}", f"{part.pairs:,}", share, f"{of_row.mean:.4g}", f"{of_row.median:g}",
            f"{of_row.max:,}", f"{of_row.rows_without:,}",
        )  # fmt: skip
    return table


def _approximation_lines(report: RadiusReport) -> list[str]:
    return [
        f"{part.fraction:.0%}: recall@1 {part.approximation.recall_at_1:.1%} on {part.approximation.rows:,} rows, "
        f"bias of the mean {part.approximation.mean_bias:+.4g}, of the median {part.approximation.median_bias:+.4g}"
        for part in report.fractions
        if part.approximation is not None
    ]


def _partition_lines(partition: Partition) -> list[str]:
    literal, corrected, gap = partition.paper_literal, partition.corrected, partition.volume_gap
    loss = corrected.proposition_4_loss
    readable = loss is not None and _SMALLEST <= abs(loss) <= _LARGEST
    by_formula = f"{loss:.6g}" if readable else f"e^{corrected.proposition_4_log_loss:.6g}"
    return [
        f"log Z {corrected.log_partition:.6g} (as printed {literal.log_partition:.6g}); effective balls "
        f"{corrected.effective_balls:.4g} of {partition.balls:,}, largest share {corrected.largest_share:.1%}",
        f"loss by Prop. 4 {by_formula}, consistent L = log Z {corrected.loss:.6g}; the mean radius is in volume "
        f"{gap.paper_literal.at_mean_radius:+.1f} nats from √(n/2πe), {gap.corrected.at_mean_radius:+.1f} from 1",
    ]


def print_report(report: RadiusReport, *, radii: bool = False) -> None:
    """Print a report: its table, partition function, warnings and, with `radii`, the counts within them."""
    console.print(report_table(report))
    if (plane := report.theory.get("plane")) is not None:  # none in reports of earlier versions
        say(plane["note"], "theory", "cyan")
    for line in theory_lines(report):
        say(line)
    for word, line in statistics_lines(report):
        say(line, word, "green")
    for line in _approximation_lines(report):
        say(line, "approximate", "yellow")
    for line in [] if report.partition is None else _partition_lines(report.partition):
        say(line, "partition", "cyan")
    if report.partition_reason is not None:
        say(f"none: {report.partition_reason}", "partition", "cyan")
    if radii:
        console.print(counts_table(report))
    for warning in report.warnings:
        say(warning.message, "note", "yellow")
