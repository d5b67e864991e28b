"""Terminal output of several commands: tables, progress bars, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from service.client import Finished, Handle
from service.client.notebook import progress_text
from service.contracts.jobs import Job
from service.contracts.workers import Worker

_LINE_S = 5.0  # between two lines of progress
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
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("id", no_wrap=True, min_width=30)  # so that an id can be copied from a narrow terminal
    for name in ("kind", "state", "progress", "created"):
        table.add_column(name, no_wrap=name in ("kind", "state"))
    for job in jobs:
        total = "?" if job.progress.total is None else f"{job.progress.total:,}"
        progress, created = f"{job.progress.done:,}/{total} {job.progress.unit}", f"{job.created_at:%m-%d %H:%M}"
        table.add_row(job.id, job.kind, job.state, progress, created)
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
    """Wait for a job and show its progress on standard error; what `check` raises ends the waiting.

    On a terminal that is a bar, elsewhere a line every few seconds and at each new stage.
    """
    if not errors.is_terminal:
        return handle.wait(_Lines(check))
    with _bar() as progress:
        task = progress.add_task("queued", total=None, unit="")

        def show(job: Job) -> None:
            check()
            what = job.progress.stage or job.state
            progress.update(
                task, description=what, completed=job.progress.done, total=job.progress.total, unit=job.progress.unit
            )

        return handle.wait(show)


class _Lines:
    """Prints a job's progress a line at a time."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check, self._stage, self._line, self._next = check, "", "", 0.0

    def __call__(self, job: Job) -> None:
        self._check()
        stage, line = job.progress.stage or job.state, progress_text(job)
        if line != self._line and (stage != self._stage or time.monotonic() >= self._next):
            say(line, to=errors)
            self._stage, self._line, self._next = stage, line, time.monotonic() + _LINE_S
