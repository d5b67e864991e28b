"""Terminal output of several commands: tables, progress bars, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from service.client import Finished, Handle
from service.contracts.jobs import Job
from service.contracts.partition import Partition
from service.contracts.radius import RadiusReport

# Names, paths and texts of users are printed as they are: nothing is read as markup or as an emoji.
console = Console(markup=False, emoji=False, highlight=False)
errors = Console(stderr=True, markup=False, emoji=False, highlight=False)


def say(text: str, word: str = "", style: str = "", *, to: Console = console) -> None:
    """Print a line that is not wrapped, so that a path can be copied; a coloured `word` may stand before it."""
    to.print(Text.assemble((word, style), " " if word else "", text), soft_wrap=True)


def print_json(content: Any) -> None:
    """Print JSON on standard output, for other programs."""
    print(json.dumps(content, indent=2, allow_nan=False))


def jobs_table(jobs: list[Job]) -> Table:
    """A line per job."""
    table = Table(box=None)
    table.add_column("id", no_wrap=True, min_width=30)  # so that an id can be copied from a narrow terminal
    for name in ("kind", "state", "progress", "created"):
        table.add_column(name)
    for job in jobs:
        total = "?" if job.progress.total is None else f"{job.progress.total:,}"
        created = job.created_at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(job.id, job.kind, job.state, f"{job.progress.done:,}/{total} {job.progress.unit}", created)
    return table


def report_table(report: RadiusReport) -> Table:
    """Distances per fraction, beside the paper's formula, the correct one and the null model."""
    table = Table(title=f"{report.name}: {report.n:,} patterns, d_model {report.d_model}", title_justify="left")
    for name in ("fraction", "n", "NN mean", "NN median", "radius", "Gaussian null", "duplicates"):
        table.add_column(name, justify="right")
    nulls = report.null_model.fractions if report.null_model is not None else [None] * len(report.fractions)
    for part, null in zip(report.fractions, nulls, strict=True):
        if part.nn_distance is None or part.radius is None:
            table.add_row(f"{part.fraction:.0%}", f"{part.n:,}", part.reason or "", "", "", "", "")
            continue
        null_mean = "" if null is None or null.nn_distance is None else f"{null.nn_distance.mean:.4f}"
        distance = part.nn_distance
        cells = (f"{distance.mean:.4f}", f"{distance.median:.4f}", f"{part.radius.mean:.4f}", null_mean)
        table.add_row(f"{part.fraction:.0%}", f"{part.n:,}", *cells, f"{part.duplicates:,}")
    literal, corrected = report.theory["paper_literal"], report.theory["corrected"]
    table.caption = (
        f"theory, n = {literal['n']}: paper √(n/2πe) radius {literal['radius']:.4f}, distance "
        f"{literal['nn_distance']:.4f}; unit-volume radius {corrected['unit_volume_radius']:.4f}; "
        f"Z = 1 radius {corrected['unit_partition_radius']:.4f}\n"
        f"engine {report.engine}, certified {report.certified_fraction:.0%}, search {report.timing['search_s']:.2f} s"
    )
    table.caption_justify = "left"
    return table


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
    by_formula = f"e^{corrected.proposition_4_log_loss:.6g}" if loss is None else f"{loss:.6g}"
    return [
        f"log Z {corrected.log_partition:.6g} (as printed {literal.log_partition:.6g}); effective balls "
        f"{corrected.effective_balls:.4g} of {partition.balls:,}, largest share {corrected.largest_share:.1%}",
        f"loss by Prop. 4 {by_formula}, consistent L = log Z {corrected.loss:.6g}; the mean radius is in volume "
        f"{gap.paper_literal.at_mean_radius:+.1f} nats from √(n/2πe), {gap.corrected.at_mean_radius:+.1f} from 1",
    ]


def print_report(report: RadiusReport, *, radii: bool = False) -> None:
    """Print a report: its table, partition function, warnings and, with `radii`, the counts within them."""
    console.print(report_table(report))
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


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        yield progress


def wait_with_bar(handle: Handle, check: Callable[[], None] = lambda: None) -> Finished:
    """Wait for a job and show a progress bar on standard error; what `check` raises ends the waiting."""
    with _bar() as progress:
        task = progress.add_task("queued", total=None, unit="")

        def show(job: Job) -> None:
            check()
            what = job.progress.stage or job.state
            progress.update(
                task, description=what, completed=job.progress.done, total=job.progress.total, unit=job.progress.unit
            )

        return handle.wait(show)
