"""Terminal output of an estimate."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.estimates import Estimate
from service.sizes import shown_bytes


def print_estimate(found: Estimate) -> None:
    """Print the stages, their sum, whether the job fits, and what was assumed."""
    table = Table(title=f"{found.kind}: {_seconds(found.seconds)} by {found.workers} workers", title_justify="left")
    for name in ("stage", "segments", "time", "written", "memory"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for part in found.stages:
        segments = "?" if part.segments is None else f"{part.segments:,}"
        table.add_row(
            part.stage,
            segments,
            _seconds(part.seconds),
            shown_bytes(part.written_bytes),
            shown_bytes(part.memory_bytes),
        )
    console.print(table)
    free = "" if found.free_memory_bytes is None else f" of {shown_bytes(found.free_memory_bytes)}"
    say(
        f"disk {shown_bytes(found.written_bytes)} of {shown_bytes(found.free_disk_bytes)} free, memory "
        f"{shown_bytes(found.memory_bytes)}{free}; {found.jobs_before} jobs before it"
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
