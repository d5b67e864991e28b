"""The figure of a training run: losses against steps with reference lines, and the trajectory of the radius."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contracts.training import MetricsRow, TrainingRun
from workers.figures.saving import save_figure

_LINES = {
    "unit": ("L = 1", "-"),
    "grammar_entropy": ("entropy of the data's language", "--"),
    "memorisation": ("perfect memorisation", ":"),
    "uniform": ("uniform guess", ":"),
}


def draw_training_figure(run: TrainingRun, rows: Sequence[MetricsRow], stem: Path) -> list[Path]:
    """Draw the logged steps, and the trajectory of the radius if it was measured, as PNG, SVG and PDF beside `stem`.

    Returns:
        The paths.
    """
    sites = list(dict.fromkeys(point.site for point in run.trajectory))
    figure = Figure(figsize=(10, 5.4 + 3.2 * len(sites)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    losses, *others = figure.subplots(1 + len(sites), 1, sharex=True, squeeze=False)[:, 0]
    _losses(losses, rows, run.reference_lines)
    for axes, site in zip(others, sites, strict=True):
        _trajectory(axes, run, site)
    figure.axes[len(sites)].set_xlabel("step")
    losses.set_title(run.name, fontsize=11)
    return save_figure(figure, stem)


def _losses(axes: Axes, rows: Sequence[MetricsRow], lines: dict[str, float]) -> None:
    axes.plot([row.step for row in rows], [row.train_loss for row in rows], color="0.65", lw=0.8, label="training")
    seen = [(row.step, row.val_loss) for row in rows if row.val_loss is not None]
    axes.plot([step for step, _ in seen], [loss for _, loss in seen], "k.-", lw=1.3, label="validation")
    for key, height in lines.items():
        label, dashes = _LINES.get(key, (key, "-."))
        axes.axhline(height, color="C3", lw=1, ls=dashes, label=f"{label}: {height:.3f}")
    axes.set(ylabel="loss (nats per target)", ylim=(0, None))
    _tidy(axes)


def _trajectory(axes: Axes, run: TrainingRun, site: str) -> None:
    """Mean distance to the nearest other row and of the null model; √g; the rows' own size for scale."""
    points = [point for point in run.trajectory if point.site == site]
    steps = [point.step for point in points]
    axes.plot(steps, [point.nn_distance for point in points], "C0.-", label="mean nn_distance")
    axes.plot(steps, [point.g**0.5 for point in points], "C2.--", lw=1, label="√ mean g")
    axes.plot(steps, [point.null_nn_distance for point in points], "C1.:", label="of a Gaussian of the same covariance")
    axes.plot(steps, [point.norm for point in points], color="0.6", lw=1, label="mean norm about the mean")
    axes.set(ylabel=f"distance at\n{site}", ylim=(0, None))
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=9)
