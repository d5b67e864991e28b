"""Terminal output of a training run."""

from __future__ import annotations

from rich.table import Table

from service.commands.output import console, say
from service.contracts.sweeps import SHARES
from service.contracts.training import TrainingRun


def print_training_run(run: TrainingRun) -> None:
    """Print state, losses beside their reference lines, shares of lines, accuracies at the end, and kept models."""
    say(f"{run.name} ({run.id}): {run.state}, step {run.step:,} of {run.steps:,}, {run.tokens:,} tokens")
    if run.error is not None:
        say(run.error["detail"], "failed:", "red")
    losses = {name: value for name, value in run.losses.items() if name not in SHARES}
    if run.spec.get("loss") == "sum":  # train_loss and val_loss are per line, the parts of val_loss are means
        whole = {name: losses.pop(name) for name in ("train_loss", "val_loss") if name in losses}
        _print_numbers("nats per line", {**whole, **run.reference_lines}, ".4f")
        _print_numbers("nats per target", losses, ".4f")
    else:
        _print_numbers("nats per target", {**losses, **run.reference_lines}, ".4f")
    _print_numbers("share of lines", {name: run.losses[name] for name in SHARES if name in run.losses}, ".1%")
    if run.trajectory:
        _print_trajectory(run)
    for line in _shares(run.evaluation):
        say(line)
    for kept in run.checkpoints[-3:]:
        say(f"kept {kept.model}")


def _print_numbers(head: str, values: dict[str, float | None], form: str) -> None:
    table = Table(head, "", box=None)
    for name, value in values.items():
        table.add_row(name, "–" if value is None else format(value, form))
    if values:
        console.print(table)


def _print_trajectory(run: TrainingRun) -> None:
    table = Table("step", "site", "mean nn_distance", "radius", "mean g", "of a Gaussian", "norm", box=None)
    for point in run.trajectory:
        numbers = (point.nn_distance, point.nn_distance / 2, point.g, point.null_nn_distance, point.norm)
        table.add_row(f"{point.step:,}", point.site, *(f"{number:.4g}" for number in numbers))
    console.print(table)


def _shares(found: dict[str, object], path: str = "") -> list[str]:
    """Every share in an evaluation, with its dotted name."""
    lines = []
    for name, value in found.items():
        if isinstance(value, dict) and "share" in value:
            shown = "–" if value["share"] is None else f"{value['share']:.1%}"
            lines.append(f"{path}{name}: {shown} of {value['lines']}")
        elif isinstance(value, dict):
            lines += _shares(value, f"{path}{name}.")
    return lines
