"""Table 3 of a sweep: every cell of its grid, measured or not, on each side of the least validation loss."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from service.contracts.sweeps import StoppingCell, StoppingTable, StoppingWindow, Sweep, SweepRun
from service.theory.measured_stopping import measured_stopping
from service.theory.stopping_draws import MeasuredCell, MeasuredModel

_PLACES = {"before": "beginning", "after": "end"}


def stopping_tables(sweep: Sweep) -> dict[str, StoppingTable] | None:
    """`before` and `after`; None where the sweep is no grid of D, or no run of it has ended."""
    if not any(run.tokens is not None and run.stopping is not None for run in sweep.runs):
        return None
    return {side: _table(sweep, side) for side in _PLACES}


def _table(sweep: Sweep, side: str) -> StoppingTable:
    by_model: dict[str, dict[int, list[SweepRun]]] = {}
    for run in sweep.runs:
        if run.tokens is not None:
            by_model.setdefault(run.model, {}).setdefault(run.tokens, []).append(run)
    grid = {name: sorted(by_tokens.items()) for name, by_tokens in by_model.items()}
    models = [
        MeasuredModel(name, cells[0][1][0].parameters, tuple(_measured(tokens, runs, side) for tokens, runs in cells))
        for name, cells in grid.items()
    ]
    found = measured_stopping(models, sweep.spec["sigma_sq"])
    shown = {name: [_cell(tokens, runs, side) for tokens, runs in cells] for name, cells in grid.items()}
    rows = [row | {"cells": shown[row["model"]]} for row in found["rows"]]
    return StoppingTable.model_validate(found | {"rows": rows})


def _measured(tokens: int, runs: Sequence[SweepRun], side: str) -> MeasuredCell:
    windows = _windows(runs, side)
    return MeasuredCell(tokens, tuple(each.mse for each in windows), tuple(each.mse_error for each in windows))


def _cell(tokens: int, runs: Sequence[SweepRun], side: str) -> StoppingCell:
    windows = _windows(runs, side)
    reasons = [_reason(run, side) for run in runs if _window(run, side) is None]
    counted = [
        reason if len(runs) == 1 else f"{reason} ({reasons.count(reason)} of {len(runs)} runs)"
        for reason in dict.fromkeys(reasons)
    ]
    return StoppingCell(
        tokens=tokens,
        runs=len(runs),
        measured=len(windows),
        mse=_mean([each.mse for each in windows]),
        mean_gap_sq=_mean([each.mean_gap**2 for each in windows]),
        variance=_mean([each.variance for each in windows]),
        interval=_measured(tokens, runs, side).interval,
        reason="; ".join(counted) or None,
    )


def _reason(run: SweepRun, side: str) -> str:
    if run.state == "failed":
        return "the run failed"
    if run.stopping is None:
        return "the run has not ended"
    return f"the validation loss is least within half a window of the run's {_PLACES[side]}"


def _windows(runs: Sequence[SweepRun], side: str) -> list[StoppingWindow]:
    return [window for run in runs if (window := _window(run, side)) is not None]


def _window(run: SweepRun, side: str) -> StoppingWindow | None:
    return None if run.stopping is None else getattr(run.stopping, side)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
