"""Fig. 1 redrawn from our own functions, with the attractors marked: `python -m workers.figures.figure1 --out FILE`."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.theory.energy import Array, Kind, energy, energy_mchn, nearest
from service.theory.figure1 import DOMAIN_1D, DOMAIN_2D, PATTERNS_1D, PATTERNS_2D, figure1_theory
from workers.figures.saving import save_figure

_LINE, _SIDE = 501, 121


def draw_figure1(stem: Path) -> list[Path]:
    """Draw all panels and write them beside `stem` as PNG, SVG and PDF; returns the paths."""
    figure = Figure(figsize=(13, 7.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["a", "b", "right"], ["c", "d", "right"]], width_ratios=[1, 1, 1.25])
    found = figure1_theory()["corrected"]
    _draw_surfaces(axes, found["two_dimensions"]["landscapes"])
    _draw_curves(axes["right"], found["one_dimension"]["landscapes"])
    return save_figure(figure, stem)


def _draw_surfaces(axes: dict[str, Axes], landscapes: list[dict]) -> None:
    line = np.linspace(*DOMAIN_2D, _SIDE)
    across, up = np.meshgrid(line, line)
    points = np.stack([across, up], axis=-1).reshape(-1, 2)
    whole = energy_mchn(PATTERNS_2D, points, 1.0)
    terms = _regularization(points)
    panels = {
        "a": ("(a) −LSE(1, Mᵀx)", whole - terms, None),
        "b": ("(b) ½xᵀx + β⁻¹ log d + ½ max‖ρ‖²", terms, None),
        "c": ("(c) E_MCHN, β = 1", whole, _minima(landscapes, "energy_mchn", 1.0)),
        "d": ("(d) E, eq. (4)", energy(PATTERNS_2D, points), _minima(landscapes, "energy", 1.0)),
    }
    for name, (title, values, ends) in panels.items():
        part = axes[name]
        levels = part.contourf(across, up, values.reshape(across.shape), levels=24, cmap="Greys_r")
        part.figure.colorbar(levels, ax=part, shrink=0.85)
        part.plot(*PATTERNS_2D.T, "o", color="C1", markersize=6, label="patterns")
        if ends is not None:
            part.plot(*ends.T, "x", color="C0", markersize=9, markeredgewidth=2, label=f"{len(ends)} attractors")
            part.legend(loc="lower right", fontsize=8, framealpha=0.9)
        part.set_title(title, fontsize=10)
        part.set_aspect("equal")


def _draw_curves(part: Axes, landscapes: list[dict]) -> None:
    points = np.linspace(*DOMAIN_1D, _LINE)[:, None]
    part.plot(points, nearest(PATTERNS_1D, points)[0], color="0.7", linewidth=1.5, label="g, eq. (3)")
    curves = (("energy", 1.0, "k", "-", "E, eq. (4)"), ("energy_mchn", 1.0, "C1", "--", "E_MCHN, β = 1"),
              ("energy_mchn", 2.0, "C1", "-", "E_MCHN, β = 2"))  # fmt: skip
    for kind, beta, colour, dashes, label in curves:
        values = energy if kind == "energy" else energy_mchn
        part.plot(points, values(PATTERNS_1D, points, beta), color=colour, linestyle=dashes, linewidth=1.6, label=label)
        ends = _minima(landscapes, kind, beta)
        part.plot(ends, values(PATTERNS_1D, ends, beta), "x", color=colour, markersize=9, markeredgewidth=2)
    for pattern in PATTERNS_1D[:, 0]:
        part.axvline(pattern, color="0.85", linewidth=1, zorder=0)
    part.set_title("patterns −2, 0, 1; minima marked ×", fontsize=10)
    part.set_xlabel("x")
    part.set_ylim(-1.3, 2.6)
    part.spines[["top", "right"]].set_visible(False)
    part.legend(fontsize=9, framealpha=0.9, edgecolor="none")


def _regularization(points: Array) -> Array:
    """½xᵀx + β⁻¹ log d + ½ max‖ρ‖² at β = 1."""
    longest = float(np.square(PATTERNS_2D).sum(axis=1).max())
    return np.square(points).sum(axis=1) / 2 + np.log(len(PATTERNS_2D)) + longest / 2


def _minima(landscapes: list[dict], kind: Kind | str, beta: float) -> Array:
    return np.array(next(p["minima"] for p in landscapes if (p["energy"], p["beta"]) == (kind, beta)))


def main() -> None:
    """Write the figure in the format of the file's ending."""
    parser = argparse.ArgumentParser(prog="radius figure 1")
    parser.add_argument("--out", type=Path, required=True, help="a .png, .svg or .pdf file")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        drawn = {path.suffix: path for path in draw_figure1(Path(folder) / "figure1")}
        shutil.copyfile(drawn[out.suffix], out)


if __name__ == "__main__":
    main()
