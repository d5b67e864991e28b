"""The figure of a sweep: ticks and labels on every panel, intervals, lines that differ without colour."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.contracts.sweeps import Sweep
from service.contracts.training import MetricsRow
from tests.databases.soak import first
from tests.figures.test_radius_figure import legends, texts
from tests.flows.sweeps import run, sweep
from workers.figures.style import FONT_SIZE, figure_style
from workers.figures.sweep import sweep_figure
from workers.flows.training.sweep_tables import stopping_tables

TOKENS = (1_000, 4_000, 16_000)


def rows_of(steps: int) -> list[MetricsRow]:
    """Logged steps; every second one is an evaluation."""
    return [
        MetricsRow(
            step=at * 100, tokens=at, train_loss=3 + 1 / (at + 1), val_loss=3.5 if at % 2 == 0 else None, lr=0,
            grad_norm=1, details={"gen_first_word": 0.5, "val_first_auxiliary": 0.9},
        )
        for at in range(steps)
    ]  # fmt: skip


def grid(seeds: int, models: tuple[str, ...] = ("S1", "S2"), names: dict[str, str] | None = None) -> Sweep:
    """Models with their tables, renamed by `names`.

    The MSE of S1 falls as 1/D and crosses σ² at 4,000 to 16,000; that of every further model is twice as high.
    """
    made = sweep(
        run(model, tokens, seed, before=2**at * 100 / tokens * (1 + 0.02 * seed), after=2**at * 90 / tokens)
        for at, model in enumerate(models) for tokens in TOKENS for seed in range(seeds)
    )  # fmt: skip
    renamed = [each.model_copy(update={"model": (names or {}).get(each.model, each.model)}) for each in made.runs]
    made = made.model_copy(update={"runs": renamed})
    return made.model_copy(update={"tables": stopping_tables(made)})


def drawn(made: Sweep, steps: int = 8, *, laid_out: bool = False) -> Figure:
    with figure_style():
        figure = sweep_figure(made, {each.run: rows_of(steps) for each in made.runs})
        if laid_out:
            figure.draw_without_rendering()
    return figure


def curves(axes: Axes, start: str) -> dict[str, tuple[list[float], list[float]]]:
    """x and y of the lines whose names start so."""
    return {
        str(line.get_gid()): (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in axes.lines if str(line.get_gid()).startswith(start)
    }  # fmt: skip


SWEEPS = {
    "seeds of a model": lambda: grid(2, ("S1",)),
    "one cell": lambda: sweep([run("S1", 1_000, seed, before=0.1) for seed in range(3)]),
    "no run has ended": lambda: sweep([run("S1", tokens, ended=False) for tokens in TOKENS]),
    "long names": lambda: grid(1, names={"S1": "W" * 60, "S2": "$\\frac$ 模型 $x_"}),
    "an MSE that does not vary": lambda: grid(1, ("S1",)).model_copy(
        update={"tables": stopping_tables(sweep([run("S1", tokens, before=0.04) for tokens in TOKENS]))}
    ),
    "questions": lambda: sweep([run("GPT", None, seed) for seed in range(3)], experiment="question_formation"),
    "many questions": lambda: sweep(
        [run(model, None, seed) for model in ("A", "B") for seed in range(9)], experiment="question_formation"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", first(2, [name for name in SWEEPS if name != "many questions"]))
def test_every_panel_has_ticks_and_labels(name: str):
    """In one size, within the canvas, no text across another, no legend over a panel."""
    figure = drawn(SWEEPS[name](), 0 if name == "no run has ended" else 8, laid_out=True)
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        for axis in (axes.xaxis, axes.yaxis):
            assert any(label.get_text() and label.get_visible() for label in axis.get_ticklabels())
    boxes = [text.get_window_extent().padded(-1) for text in texts(figure)]
    assert {text.get_fontsize() for text in texts(figure)} == {FONT_SIZE}
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert not any(key.get_window_extent().overlaps(axes.bbox) for key in legends(figure) for axes in figure.axes)


@pytest.mark.parametrize("seeds", [1, 3])
def test_cells_have_their_intervals(seeds: int):
    made = grid(seeds)
    assert made.tables is not None
    axes = drawn(made).axes[-1]
    cells = made.tables["before"].rows[0].cells
    _, means = curves(axes, "before-S1")["before-S1"]
    assert means == [cell.mse for cell in cells]
    bars = [line for line in axes.lines if line.get_gid() == "interval-before-S1"]
    assert [np.asarray(bar.get_ydata()).tolist() for bar in bars] == [cell.interval for cell in cells]
    assert all(cell.interval and cell.mse and cell.interval[0] < cell.mse < cell.interval[1] for cell in cells)


def test_the_crossing_of_sigma_has_its_interval_below_the_data():
    made = grid(3)
    assert made.tables is not None
    axes = drawn(made).axes[-1]
    (row, _) = made.tables["before"].rows
    ends, heights = curves(axes, "crossing-before-S1")["crossing-before-S1"]
    assert ends == row.interval
    assert heights[0] < min(min(cell.interval or [1]) for cell in row.cells)


def test_models_differ_without_colour():
    axes = drawn(grid(1, ("S1", "S2", "S3", "S4"))).axes[-1]
    lines = [line for line in axes.lines if str(line.get_gid()).startswith("before")]
    assert len(lines) == 4
    assert len({str(line.get_marker()) for line in lines}) == 4
    assert len({str(line.get_linestyle()) + str(getattr(line, "_dash_pattern", "")) for line in lines}) == 4


def test_runs_of_questions_have_lines_of_their_own_while_they_are_few():
    few, many = drawn(SWEEPS["questions"]()), drawn(SWEEPS["many questions"]())
    labels = [[text.get_text() for text in legends(figure)[0].get_texts()] for figure in (few, many)]
    assert labels == [["GPT, seed 0", "GPT, seed 1", "GPT, seed 2", "L = 1"], ["A, 9 seeds", "B, 9 seeds", "L = 1"]]
    assert len(curves(few.axes[1], "gen_first_word")) == 3
