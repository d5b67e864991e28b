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
from service.contracts.workers import Worker

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


def workers_table(workers: list[Worker]) -> Table:
    """A line per worker."""
    table = Table(box=None)
    for name in ("name", "state", "seen", "device", "now", "version"):
        table.add_column(name)
    for worker in workers:
        now = "" if worker.now is None else f"{worker.now.job} {worker.now.segment}"
        version = "" if worker.report is None else worker.report.versions.get("radius", "")
        device = "" if worker.device is None else worker.device.device
        table.add_row(worker.name, worker.state, f"{worker.seen_s:.0f} s ago", device, now, version)
    return table


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
