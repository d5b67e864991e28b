"""Fig. 1 redrawn from our own functions, with the attractors marked: `python -m workers.figures.figure1 --out FILE`."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from service.contracts.radius import FIGURE_FORMATS
from service.theory.energy import Array, Kind, energy, energy_mchn, nearest
from service.theory.figure1 import DOMAIN_1D, DOMAIN_2D, PATTERNS_1D, PATTERNS_2D, figure1_theory
from workers.figures.saving import save_figure

_LINE, _SIDE, _LEVELS = 501, 161, 21
_GREYS = LinearSegmentedColormap.from_list("greys", ["0.5", "1.0"])  # all light enough for black marks
_MCHN = r"$E_\mathrm{MCHN}$"
_TERMS = r"$\frac{1}{2}x^\top x + \beta^{-1}\log\,d + \frac{1}{2}\max\,\Vert\rho\Vert^2$"
_CURVES = (("energy", 1.0, energy, "$E$, eq. (4)", "k", "-"),
           ("energy_mchn", 1.0, energy_mchn, rf"{_MCHN}, $\beta = 1$", "C1", (0, (5, 2))),
           ("energy_mchn", 2.0, energy_mchn, rf"{_MCHN}, $\beta = 2$", "C1", "-"))  # fmt: skip


def draw_figure1(stem: Path) -> list[Path]:
    """Draw all panels and write them beside `stem` as PNG (1560 pixels wide), SVG and PDF; returns the paths."""
    figure = Figure(figsize=(13, 7.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["a", "b", "right"], ["c", "d", "right"]], width_ratios=[1, 1, 1.15])
    found = figure1_theory()["corrected"]
    _draw_surfaces(axes, found["two_dimensions"]["landscapes"])
    _draw_curves(axes["right"], found["one_dimension"]["landscapes"])
    return save_figure(figure, stem)


def _draw_surfaces(axes: dict[str, Axes], landscapes: list[dict[str, Any]]) -> None:
    line = np.linspace(*DOMAIN_2D, _SIDE)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    whole, terms = energy_mchn(PATTERNS_2D, points), _regularization(points)
    _draw_surface(axes["a"], r"(a) $-\mathrm{LogSumExp}(\beta, M^\top x)$, $\beta = 1$", whole - terms, None)
    _draw_surface(axes["b"], rf"(b) {_TERMS}, $\beta = 1$", terms, None)
    title = rf"(c) = (a) + (b): {_MCHN}, $\beta = 1$"
    _draw_surface(axes["c"], title, whole, _minima(landscapes, "energy_mchn", 1.0))
    _draw_surface(axes["d"], "(d) $E$, eq. (4)", energy(PATTERNS_2D, points), _minima(landscapes, "energy", 1.0))


def _draw_surface(axes: Axes, title: str, values: Array, ends: Array | None) -> None:
    """Draw filled contours; with attractors the lower levels are closer together, so that the wells show."""
    line, power = np.linspace(*DOMAIN_2D, _SIDE), 1.0 if ends is None else 0.5
    low, high = float(values.min()), float(values.max())
    levels = low + (high - low) * np.linspace(0, 1, _LEVELS) ** (1 / power)
    shades = {"levels": levels, "norm": PowerNorm(power, low, high), "cmap": _GREYS}
    filled = axes.contourf(line, line, values.reshape(_SIDE, _SIDE), **shades)
    axes.contour(filled, colors="0.4", linewidths=0.4, linestyles="solid")
    bar = axes.figure.colorbar(filled, ax=axes, shrink=0.9)
    bar.set_ticks(levels[::4].tolist(), labels=[_number(level, 2) for level in levels[::4]])
    axes.plot(*PATTERNS_2D.T, "o", color="w", markeredgecolor="k", markersize=11, label="pattern")
    if ends is not None:
        axes.plot(*ends.T, "x", color="k", markersize=6, markeredgewidth=1.8, label=f"attractor ({len(ends)})")
    axes.legend(loc="lower left", fontsize=8, framealpha=0.9, edgecolor="none")
    axes.set_title(title, fontsize=10)
    axes.set_aspect("equal")
    axes.set_xlabel("$x_1$")
    axes.set_ylabel("$x_2$", rotation=0)


def _draw_curves(axes: Axes, landscapes: list[dict[str, Any]]) -> None:
    points = np.linspace(*DOMAIN_1D, _LINE)[:, None]
    for pattern in PATTERNS_1D[:, 0]:
        axes.axvline(pattern, color="0.88", linewidth=1, zorder=0)
    axes.plot(points, nearest(PATTERNS_1D, points)[0], "k:", linewidth=1.4, label="$g$, eq. (3)")
    for kind, beta, values, label, colour, dashes in _CURVES:
        height = values(PATTERNS_1D, points, beta)
        axes.plot(points, height, color=colour, linestyle=dashes, linewidth=1.7, label=label)
        ends = _minima(landscapes, kind, beta)
        below = {"xytext": (0, -17), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        for end, lowest in zip(ends[:, 0], values(PATTERNS_1D, ends, beta), strict=True):
            axes.plot(end, lowest, "x", color="k", markersize=8, markeredgewidth=1.8)
            axes.annotate(_number(end, 3), (end, lowest), **below)
    axes.plot(PATTERNS_1D, np.zeros(len(PATTERNS_1D)), "o", color="w", markeredgecolor="k", label="pattern")
    axes.plot([], [], "kx", markersize=8, markeredgewidth=1.8, label="minimum, with its $x$")
    axes.set_title("patterns −2, 0, 1", fontsize=10)
    axes.set_xlabel("$x$")
    axes.set_ylabel("energy")
    axes.set_ylim(-0.7, 3.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", fontsize=9, framealpha=0.9, edgecolor="none")


def _regularization(points: Array) -> Array:
    """½xᵀx + β⁻¹ log d + ½ max‖ρ‖² at β = 1."""
    longest = float(np.square(PATTERNS_2D).sum(axis=1).max())
    return np.square(points).sum(axis=1) / 2 + np.log(len(PATTERNS_2D)) + longest / 2


def _minima(landscapes: list[dict[str, Any]], kind: Kind | str, beta: float) -> Array:
    return np.array(next(part["minima"] for part in landscapes if (part["energy"], part["beta"]) == (kind, beta)))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def main() -> None:
    """Write the figure in the format that the file's ending names."""
    parser = argparse.ArgumentParser(prog="python -m workers.figures.figure1", description="Draw Fig. 1.")
    parser.add_argument("--out", type=Path, required=True, help="a .png, .svg or .pdf file")
    out: Path = parser.parse_args().out
    if out.suffix.removeprefix(".") not in FIGURE_FORMATS:
        parser.error("the figure's name must end in .png, .svg or .pdf")
    with tempfile.TemporaryDirectory() as folder:
        drawn = {path.suffix: path for path in draw_figure1(Path(folder) / "figure1")}
        try:
            shutil.copyfile(drawn[out.suffix], out)
        except OSError as error:
            parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
