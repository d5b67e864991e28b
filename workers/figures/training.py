"""The figure of a training run: losses against steps, with the lines they are to be compared with."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contracts.training import MetricsRow
from workers.figures.saving import save_figure

_LINES = {
    "unit": ("L = 1", "-"),
    "grammar_entropy": ("entropy of the data's language", "--"),
    "memorisation": ("all lines by heart", ":"),
    "uniform": ("uniform guess", ":"),
}


def draw_training_figure(name: str, rows: list[MetricsRow], lines: dict[str, float], stem: Path) -> list[Path]:
    """Draw the logged steps and write the figure beside `stem` as PNG, SVG and PDF; returns the paths."""
    figure = Figure(figsize=(10, 5.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([row.step for row in rows], [row.train_loss for row in rows], color="0.65", lw=0.8, label="training")
    seen = [(row.step, row.val_loss) for row in rows if row.val_loss is not None]
    axes.plot([step for step, _ in seen], [loss for _, loss in seen], "k.-", lw=1.3, label="validation")
    for key, height in lines.items():
        label, dashes = _LINES.get(key, (key, "-."))
        axes.axhline(height, color="C3", lw=1, ls=dashes, label=f"{label}: {height:.3f}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per target)")
    axes.set_ylim(bottom=0)
    axes.set_title(name, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=9)
    return save_figure(figure, stem)
