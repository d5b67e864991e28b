"""The figure of an energy report: E − g within its bounds, several β, and any scale."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from service.contracts.base import now
from service.contracts.energy_report import EnergyReport, LayerEnergies
from tests.databases.soak import first
from tests.figures.test_radius_figure import legends, texts
from workers.energy.evaluation import evaluate
from workers.energy.patterns import prepare_patterns
from workers.figures.energy import energy_figure
from workers.figures.style import FONT_SIZE, figure_style
from workers.flows.energy.fields import bounds_report, energies_at, global_report, spread
from workers.neighbors.stored import StoredRows

Array = np.ndarray
ROWS = np.random.default_rng(0).normal(size=(60, 3))
LINE = np.arange(6.0)[:, None]
BETAS = (0.1, 1.0, 2.0)
SETS: dict[str, tuple[Array, tuple[float, ...]]] = {
    "one β": (ROWS, (1.0,)),
    "8 β": (ROWS, tuple(10.0**at for at in range(-6, 2))),
    "two rows": (np.eye(2), (1.0,)),
    "three rows": (np.eye(3), BETAS),
    "equal rows": (np.ones((5, 2)), BETAS),
    "1e-149": (1e-149 * LINE, BETAS),
    "1e149": (1e149 * LINE, BETAS),
}


@cache
def layer_of(name: str) -> LayerEnergies:
    """The energies of each row of the set among the others."""
    rows, betas = SETS[name]
    found = evaluate(
        prepare_patterns(StoredRows(rows)), StoredRows(rows), sorted({*betas, 1.0, 2.0}), own=np.arange(len(rows))
    )
    return LayerEnergies(
        activations=None, site="final_norm_out", name="a model, a corpus", n=len(rows), d_model=rows.shape[1],
        patterns=len(rows) - 1, left_out="self", g=spread(found.g), energies=energies_at(found, betas),
        bounds=bounds_report(found), curvature=[], storage=None, basins=None,
    )  # fmt: skip


def report_of(*layers: LayerEnergies, **fields: Any) -> EnergyReport:
    parts = {
        "id": "energy_1", "job": "job_1", "activations": [], "queries": None, "name": "a model, a corpus",
        "d_model": layers[0].d_model, "points": layers[0].n, "layers": list(layers), "energy_global": None,
        "descent": None, "warnings": [], "notes": [], "timing": {}, "provenance": {}, "created_at": now(),
    }  # fmt: skip
    return EnergyReport.model_validate(parts | fields)


def drawn(report: EnergyReport, *, laid_out: bool = False) -> Figure:
    with figure_style():
        figure = energy_figure(report)
        if laid_out:
            figure.draw_without_rendering()
    return figure


def steps(axes: Axes) -> list[StepPatch]:
    return [patch for patch in axes.patches if isinstance(patch, StepPatch)]


def places(axes: Axes) -> dict[str, float]:
    """Where upright lines are, by name."""
    return {str(line.get_gid()): float(np.asarray(line.get_xdata())[0]) for line in axes.lines if line.get_gid()}


@pytest.mark.parametrize("name", first(2, ["8 β", "equal rows", "two rows", "1e-149", "1e149"]))
def test_any_set_is_drawn_within_the_canvas(name: str):
    """In one size, no text across another, no legend over a panel, a line for each β within the bounds."""
    figure = drawn(report_of(layer_of(name)), laid_out=True)
    boxes = [text.get_window_extent().padded(-1) for text in texts(figure)]
    assert {text.get_fontsize() for text in texts(figure)} == {FONT_SIZE}
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert not any(key.get_window_extent().overlaps(axes.bbox) for key in legends(figure) for axes in figure.axes)
    _, bounded, _ = figure.axes
    assert len(steps(bounded)) == len(SETS[name][1])
    assert len({str(step.get_linestyle()) for step in steps(bounded)}) == len(SETS[name][1])


def test_e_minus_g_lies_between_the_bounds_that_are_drawn():
    found = layer_of("one β")
    axes = drawn(report_of(found)).axes[1]
    (step,) = steps(axes)
    values, edges, _ = step.get_data()
    assert places(axes) == {"lower-bound": pytest.approx(-math.log(59)), "upper-bound": 0}
    assert (edges[0], edges[-1]) == (pytest.approx(-math.log(59)), 0)
    assert values[values > axes.get_ylim()[0]].sum() == pytest.approx(1)


def test_e_minus_g_is_that_of_the_energies():
    (part,) = layer_of("one β").energies
    assert part.beta_energy_minus_g is not None
    gap = part.energy.distribution.mean - layer_of("one β").g.distribution.mean
    assert part.beta_energy_minus_g.distribution.mean == pytest.approx(gap)
    assert sum(part.beta_energy_minus_g.histogram.counts) == 60


@pytest.mark.parametrize(("name", "expected"), [("1e149", 0.0), ("1e-149", -math.log(5))])
def test_e_minus_g_of_extreme_rows(name: str, expected: float):
    """Of large rows rounding of g hides it; tiny rows all have the same weight."""
    for part in layer_of(name).energies:
        assert part.beta_energy_minus_g is not None
        assert part.beta_energy_minus_g.distribution.mean == pytest.approx(expected)


def test_title_names_model_data_and_site():
    title = drawn(report_of(layer_of("one β"))).get_suptitle()
    assert title == "a model, a corpus\nfinal_norm_out, 60 points among 59 patterns, d_model = 3"


def test_a_report_of_an_older_version_is_read_and_drawn():
    stored = report_of(layer_of("one β")).model_dump(mode="json")
    del stored["layers"][0]["energies"][0]["beta_energy_minus_g"]
    figure = drawn(EnergyReport.model_validate(stored))
    assert "β (E − g) is not in the report" in {text.get_text() for text in texts(figure)}


@pytest.mark.parametrize("scale", [1e-149, 1e149])
def test_layers_of_any_scale_are_drawn(scale: float):
    g = [scale**2 * np.arange(1.0, 7.0) * at for at in (1, 2)]
    layers = [layer_of("three rows").model_copy(update={"g": spread(part)}) for part in g]
    figure = drawn(report_of(*layers, energy_global=global_report(g, [np.ones(6)] * 2, 3)), laid_out=True)
    assert {text.get_fontsize() for text in texts(figure)} == {FONT_SIZE}
    assert all(0.1 <= tick < 100 for tick in figure.axes[0].get_ylim()[1:])
