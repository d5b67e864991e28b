"""A training run as a table."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console
from service.contracts.training import TrainingRun


def print_training_run(run: TrainingRun) -> None:
    """Losses beside the lines they are to be compared with, accuracies of the end, kept models."""
    console.print(f"{run.name} ({run.id}): step {run.step:,} of {run.steps:,}, {run.tokens:,} tokens", highlight=False)
    table = Table("nats per target", "", title=None, box=None)
    for name, value in {**run.losses, **run.reference_lines}.items():
        table.add_row(name, "–" if value is None else f"{value:.4f}")
    console.print(table)
    if run.trajectory:
        _print_trajectory(run)
    for line in _shares(run.evaluation):
        console.print(line, highlight=False)
    for kept in run.checkpoints[-3:]:
        console.print(f"kept {kept.model}", highlight=False)


def _print_trajectory(run: TrainingRun) -> None:
    table = Table("step", "site", "mean nn_distance", "radius", "mean g", "of a Gaussian", "norm", box=None)
    for point in run.trajectory:
        numbers = (point.nn_distance, point.nn_distance / 2, point.g, point.null_nn_distance, point.norm)
        table.add_row(f"{point.step:,}", point.site, *(f"{number:.4g}" for number in numbers))
    console.print(table)


def _shares(found: dict[str, object], path: str = "") -> list[str]:
    """Every share in an evaluation, by its place."""
    lines = []
    for name, value in found.items():
        if isinstance(value, dict) and "share" in value:
            shown = "–" if value["share"] is None else f"{value['share']:.1%}"
            lines.append(f"{path}{name}: {shown} of {value['lines']}")
        elif isinstance(value, dict):
            lines += _shares(value, f"{path}{name}.")
    return lines
