"""Terminal output of an estimate."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.estimates import Estimate

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_estimate(found: Estimate) -> None:
    """Print the stages, their sum, whether the job fits, and what was assumed."""
    table = Table(title=f"{found.kind}: {_seconds(found.seconds)} by {found.workers} workers", title_justify="left")
    for name in ("stage", "segments", "time", "written", "memory"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for part in found.stages:
        segments = "?" if part.segments is None else f"{part.segments:,}"
        table.add_row(part.stage, segments, _seconds(part.seconds), _size(part.written_bytes), _size(part.memory_bytes))
    console.print(table)
    free = "" if found.free_memory_bytes is None else f" of {_size(found.free_memory_bytes)}"
    say(
        f"disk {_size(found.written_bytes)} of {_size(found.free_disk_bytes)} free, memory "
        f"{_size(found.memory_bytes)}{free}; {found.jobs_before} jobs before it"
    )
    if found.reason is not None:
        say(found.reason, "does not fit", "red")
    if found.reused is not None:
        say(f"{', '.join(found.reused.activations)} of {found.reused.job}", "reused", "cyan")
    for note in found.notes:
        say(note, "note", "yellow")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "? s"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 3600:.3g} h"


def _size(count: int) -> str:
    value, place = float(count), 0
    while value >= 1024 and place < len(_UNITS) - 1:
        value, place = value / 1024, place + 1
    return f"{value:.3g} {_UNITS[place]}"
