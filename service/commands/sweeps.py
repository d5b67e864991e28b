"""A sweep as Table 3: the MSE of every cell, D*, N/D*², and the exponents."""

from __future__ import annotations

import statistics

from rich.table import Table

from service.commands.output import console
from service.contracts.sweeps import Exponent, StoppingTable, Sweep, SweepRun


def print_sweep(sweep: Sweep) -> None:
    """Runs of one D: their losses; of several: a table for each side of the least validation loss."""
    ended = sum(run.step == run.steps for run in sweep.runs)
    console.print(f"{sweep.name} ({sweep.id}): {ended} of {len(sweep.runs)} runs at their end", highlight=False)
    if sweep.tables is None:
        _print_runs(sweep)
        return
    for side, found in sweep.tables.items():
        _print_cells(sweep, side, found.threshold)
        _print_stopping(found)
    for note in sweep.notes:
        console.print(f"· {note}", highlight=False)


def _print_runs(sweep: Sweep) -> None:
    table = Table("run", "step", "train loss", "val loss", box=None)
    for run in sweep.runs:
        losses = [_number(run.losses.get(name), ".4f") for name in ("train_loss", "val_loss")]
        table.add_row(f"{run.model}, seed {run.seed}", f"{run.step:,}", *losses)
    console.print(table)


def _print_cells(sweep: Sweep, side: str, threshold: float) -> None:
    """MSE as gap² + variance, mean over seeds; bold below the threshold."""
    tokens = sorted({run.tokens for run in sweep.runs if run.tokens is not None})
    title = f"MSE {side} the least validation loss = gap² + variance (nats²); σ² = {threshold:g}"
    console.print(title, highlight=False)
    table = Table("model", "N", *(f"D = {_short(size)}" for size in tokens), box=None)
    for model in dict.fromkeys(run.model for run in sweep.runs):
        runs = [run for run in sweep.runs if run.model == model]
        cells = [_cell([run for run in runs if run.tokens == size], side, threshold) for size in tokens]
        table.add_row(model, _short(runs[0].parameters), *cells)
    console.print(table)


def _cell(runs: list[SweepRun], side: str, threshold: float) -> str:
    windows = [window for run in runs if (window := getattr(run.stopping, side, None)) is not None]
    if not windows:
        return "–"
    mse, gap_sq, variance = (
        statistics.fmean(values) for values in zip(*((w.mse, w.mean_gap**2, w.variance) for w in windows), strict=True)
    )
    text = f"{mse:.4f}\n{gap_sq:.4f}+{variance:.4f}"
    return f"[bold]{text}[/bold]" if mse < threshold else text


def _print_stopping(found: StoppingTable) -> None:
    table = Table("model", "D* (<)", "D* (≤)", "D* interpolated", "95 %", "N/D*²", box=None)
    for row in found.rows:
        interval = "–" if row.interval is None else f"{_short(row.interval[0])} – {_short(row.interval[1])}"
        rules = [_short(row.optimal_tokens[rule]) for rule in ("strict", "at_most", "interpolated")]
        ratio = row.parameters_per_token_squared["interpolated"]
        table.add_row(row.model, *rules, interval, _number(ratio, ".3g"))
    console.print(table)
    for row in found.rows:
        if row.reason is not None:
            console.print(f"{row.model}: {row.reason}", highlight=False)
    for name, exponent in found.exponents.items():
        console.print(f"N ∝ D*^p, {name}: p = {_exponent(exponent)}", highlight=False)
    for law in found.laws:
        if law.spread is not None:
            console.print(f"{law.law}: N/D*^{law.power:g} varies by a factor {law.spread:.2f}", highlight=False)


def _exponent(exponent: Exponent) -> str:
    if exponent.value is None:
        return "– (a D* is missing)"
    interval = "" if exponent.interval is None else f" ({exponent.interval[0]:.2f} to {exponent.interval[1]:.2f})"
    return f"{exponent.value:.2f}{interval}"


def _short(value: float | None) -> str:
    """1234567 → 1.23M."""
    if value is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
