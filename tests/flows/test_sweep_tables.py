"""Table 3 of a sweep keeps every cell of the grid, and says of each that was not measured why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.commands.output import console
from service.commands.sweeps import print_sweep
from service.contracts.sweeps import Sweep
from tests.flows.sweeps import run, sweep
from workers.figures.sweep import draw_sweep_figure, sweep_figure
from workers.flows.training.sweep_tables import stopping_tables

END = "the validation loss is least within half a window of the run's end"


@pytest.fixture
def grid() -> Sweep:
    """S1: a gap after the least in the middle cell; S2: no window after at all, its last run not ended."""
    made = sweep(
        [
            run("S1", 1_000, before=0.09, after=0.08),
            run("S1", 2_000, before=0.05),
            run("S1", 4_000, before=0.02, after=0.03),
            run("S2", 1_000, before=0.12),
            run("S2", 2_000, before=0.07),
            run("S2", 4_000, ended=False),
        ]
    )
    return made.model_copy(update={"tables": stopping_tables(made)})


def test_every_cell_and_every_model_is_in_the_table(grid: Sweep):
    assert grid.tables is not None
    for table in grid.tables.values():
        assert [(row.model, [cell.tokens for cell in row.cells]) for row in table.rows] == [
            (name, [1_000, 2_000, 4_000]) for name in ("S1", "S2")
        ]
    first, second = grid.tables["after"].rows
    assert [cell.mse for cell in first.cells] == [0.08, None, 0.03]
    assert [cell.reason for cell in first.cells] == [None, END, None]
    assert [cell.mse for cell in second.cells] == [None] * 3
    assert [cell.reason for cell in second.cells] == [END, END, "the run has not ended"]


def test_what_was_measured_is_gap_and_variance(grid: Sweep):
    assert grid.tables is not None
    cell = grid.tables["before"].rows[0].cells[0]
    assert (cell.runs, cell.measured) == (1, 1)
    assert cell.mean_gap_sq is not None
    assert cell.variance is not None
    assert cell.mse == pytest.approx(cell.mean_gap_sq + cell.variance)


def test_no_number_stands_on_a_gap(grid: Sweep):
    assert grid.tables is not None
    first, second = grid.tables["after"].rows
    assert first.optimal_tokens["interpolated"] is None
    assert "across a gap" in first.reasons["interpolated"]
    assert second.optimal_tokens["strict"] is None
    assert second.reasons["strict"] == "no cell was measured"
    before = grid.tables["before"].rows[1]
    assert before.reasons["strict"] == "no measured cell is below the threshold; D = 4,000 not measured"


def test_seeds_that_were_not_measured_are_counted():
    runs = [run("S1", 1_000, seed, before=0.05 if seed else None) for seed in range(3)]
    tables = stopping_tables(sweep(runs))
    assert tables is not None
    (cell,) = tables["before"].rows[0].cells
    assert (cell.runs, cell.measured, cell.mse) == (3, 2, pytest.approx(0.05))
    assert cell.reason == "the validation loss is least within half a window of the run's beginning (1 of 3 runs)"


@pytest.mark.parametrize("runs", [[run("S1", 1_000, ended=False)], [run("S1", None)]])
def test_without_an_ended_run_of_a_grid_there_is_no_table(runs: list):
    assert stopping_tables(sweep(runs)) is None


def test_the_report_shows_gaps_with_their_reasons(grid: Sweep):
    with console.capture() as captured:
        print_sweep(grid)
    shown = " ".join(captured.get().split())
    assert f"not measured, {END}: S1 at 2k, S2 at 1k, S2 at 2k" in shown
    assert "S2, <, ≤, rounded <, rounded ≤, interpolated: no cell was measured" in shown
    assert "S2 80k – – –" in shown


def test_the_figure_breaks_its_line_at_a_gap(grid: Sweep, tmp_path: Path):
    (line,) = (each for each in sweep_figure(grid, {}).axes[-1].lines if each.get_gid() == "after-S1")
    assert np.isnan(np.asarray(line.get_ydata(), dtype=np.float64)).tolist() == [False, True, False]
    assert all(path.exists() for path in draw_sweep_figure(grid, {}, tmp_path / "figure"))
