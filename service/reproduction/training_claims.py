"""Claims that training runs and sweeps decide: F2a, F2b, F3a, F3b and G2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.contracts.reproduction import ChartCurve, ChartMark, ClaimChart, ReproductionNumber
from service.contracts.sweeps import StoppingTable, Sweep
from service.errors import InvalidInput
from service.reproduction.finding import Finding, between, number, shown
from service.reproduction.rules import cells_agree, exponent_two, never_below, range_below, within
from service.theory.stopping import BLOCKS
from service.theory.stopping_table import TABLE_3

_LAST = 0.1  # of the logged losses are the end
_MOST_POINTS = 400  # of a drawn curve
_RULE = "interpolated"


@dataclass(frozen=True)
class RunLosses:
    """The logged training losses of one run, its reference lines and the parts of its newest validation loss."""

    name: str
    steps: Sequence[int]
    losses: Sequence[float]
    reference_lines: Mapping[str, float]
    parts: Mapping[str, float]

    @property
    def end(self) -> tuple[float, float]:
        """Mean of the last tenth of the losses, and its standard error by means of stretches."""
        last = np.array(self.losses[-max(1, math.ceil(_LAST * len(self.losses))) :])
        stretches = np.array([part.mean() for part in np.array_split(last, min(BLOCKS, len(last)))])
        error = float(stretches.std(ddof=1) / math.sqrt(len(stretches))) if len(stretches) > 1 else 0.0
        return float(last.mean()), error


def settles_near_one(runs: Sequence[RunLosses], tolerance: float) -> Finding:
    """F2a: the end of the curve of each run, and the entropy of the language beside it."""
    ends = [run.end for run in runs]
    numbers: list[ReproductionNumber] = []
    for run, (loss, error) in zip(runs, ends, strict=True):
        numbers.append(number(f"{run.name}: mean of the last tenth", loss, _two_errors(loss, error)))
        numbers += [
            number(f"{run.name}: {name.replace('_', ' ')}", value) for name, value in run.reference_lines.items()
        ]
        numbers += [number(f"{run.name}: {name.replace('_', ' ')}, newest", value) for name, value in run.parts.items()]
    (loss, error), entropy = ends[0], _entropy(runs[0])
    beside = "" if entropy is None else f" The entropy of its language is {shown(entropy)} nats per token."
    reason = f"The last tenth of the logged losses has the mean {shown(loss)} ± {shown(error, 2)}.{beside}"
    return Finding(
        within([end - 1 for end, _ in ends], tolerance),
        reason,
        loss,
        _two_errors(loss, error),
        entropy,
        numbers=numbers,
        chart=_curves(runs, "training loss"),
    )


def loss_at_least_one(controls: Sequence[RunLosses], errors: float) -> Finding:
    """F2b: the ends of the controls, whose languages have less entropy than 1 or whose lines can be memorised."""
    ends = [run.end for run in controls]
    numbers = [
        number(f"{run.name}: mean of the last tenth", loss, _two_errors(loss, error))
        for run, (loss, error) in zip(controls, ends, strict=True)
    ]
    listed = "; ".join(
        f"{run.name} {shown(loss)} ± {shown(error, 2)}" for run, (loss, error) in zip(controls, ends, strict=True)
    )
    least = min(ends)
    return Finding(
        never_below(ends, 1.0, errors),
        f"Losses at the end: {listed}.",
        least[0],
        _two_errors(*least),
        numbers=numbers,
        chart=_curves(controls, "training loss of the controls"),
    )


def table_is_met(sweep: Sweep, tolerance: float) -> Finding:
    """F3a: the cells that both tables have, and D* by the strict rule; models in their printed order."""
    table, measured, optima = _table(sweep), [], []
    numbers: list[ReproductionNumber] = []
    for printed, row in zip(TABLE_3, table.rows, strict=False):
        found = {cell.tokens: cell.mse for cell in row.cells}
        measured += [(cell.mse, found.get(int(cell.tokens))) for cell in printed.cells]
        optima.append((printed.optimal_tokens, row.optimal_tokens.get("strict")))
    for row in table.rows:
        for cell in row.cells:
            interval = None if cell.interval is None else (cell.interval[0], cell.interval[1])
            numbers.append(number(f"{row.model}, D = {cell.tokens:,}: MSE", cell.mse, interval))
        numbers.append(number(f"{row.model}: D* (strict)", row.optimal_tokens.get("strict")))
        numbers.append(number(f"{row.model}: D* (at most)", row.optimal_tokens.get("at_most")))
    met = sum(value is not None and abs(value - cell) <= tolerance for cell, value in measured)
    optimal = f"{_found(table)} of {len(table.rows)} models have a D*"
    reason = f"{met} of {len(measured)} printed cells are met within {tolerance:g}; {optimal}."
    return Finding(cells_agree(measured, optima, tolerance), reason, float(met), numbers=numbers)


def exponent_of_data(sweep: Sweep) -> Finding:
    """F3b: the exponent of N in the interpolated D*, beside 1 and the 1.35 of Kaplan's law."""
    table = _table(sweep)
    found = table.exponents.get(_RULE)
    value = None if found is None else found.value
    interval = None if found is None or found.interval is None else (found.interval[0], found.interval[1])
    marks = [
        ChartMark(
            label=name.replace("_", " "),
            value=each.value,
            interval=None if each.interval is None else (each.interval[0], each.interval[1]),
        )
        for name, each in table.exponents.items()
        if each.value is not None
    ]
    numbers = [number(f"exponent, {mark.label}", mark.value, mark.interval) for mark in marks]
    numbers += [number(f"{law.law}: largest over least ratio", law.spread) for law in table.laws]
    reason = f"The exponent of N in D* is {shown(value)} {between(interval)}, beside 2, 1 and 1.35."
    if value is None:
        reason = "A model has no D*, so there is no exponent."
    chart = ClaimChart(
        title="exponent of N in D*", unit="exponent", marks=marks, reference=2.0, reference_label="claim"
    )
    return Finding(exponent_two(interval), reason, value, interval, 1.0, numbers=numbers, chart=chart)


def seeds_agree(sweep: Sweep, limit: float) -> Finding:
    """G2: the least validation losses of the runs."""
    least = [run.stopping.min_val_loss for run in sweep.runs if run.stopping is not None]
    if not least:
        raise InvalidInput("no run of the sweep has a least validation loss")
    spread = max(least) - min(least)
    numbers = [
        number(f"seed {run.seed}: least validation loss", run.stopping.min_val_loss)
        for run in sweep.runs
        if run.stopping is not None
    ]
    marks = [
        ChartMark(label=line.name.partition(":")[0], value=value) for line, value in zip(numbers, least, strict=True)
    ]
    chart = ClaimChart(title="least validation loss by seed", unit="nats per token", marks=marks)
    reason = f"The least validation losses of {len(least)} seeds lie within {shown(spread, 3)} nats."
    return Finding(range_below(least, limit), reason, spread, numbers=numbers, chart=chart)


def _table(sweep: Sweep) -> StoppingTable:
    if sweep.tables is None:
        raise InvalidInput("the sweep has no table: none of its runs has ended")
    return sweep.tables["before"]


def _found(table: StoppingTable) -> int:
    return sum(row.optimal_tokens.get("strict") is not None for row in table.rows)


def _entropy(run: RunLosses) -> float | None:
    return run.reference_lines.get("grammar_entropy")


def _two_errors(loss: float, error: float) -> tuple[float, float]:
    return loss - 2 * error, loss + 2 * error


def _curves(runs: Sequence[RunLosses], title: str) -> ClaimChart:
    curves = []
    for run in runs:
        every = max(1, len(run.steps) // _MOST_POINTS)
        steps, losses = run.steps[::every], run.losses[::every]
        curves.append(ChartCurve(label=run.name, x=[float(step) for step in steps], y=list(losses)))
    return ClaimChart(
        title=title, unit="nats per token", curves=curves, x_label="step", reference=1.0, reference_label="L = 1"
    )
