"""The figure of a radius report: what is drawn where, that nothing overlaps, and that any report can be drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Text

from service.contracts.radius import RadiusReport
from tests.figures.reports import NULLS, dimension, full_report, gamma, null_of, report_of, sample_size
from workers.figures.radius import draw_radius_figure, radius_figure
from workers.figures.style import FONT_SIZE, figure_style

ROWS = gamma(7, 400, 11.75)
DUPLICATES = np.concatenate([np.zeros(300), ROWS])
BACKWARDS = DUPLICATES[::-1]
EMPTY = np.empty(0)
FAR = np.where(np.arange(960) % 32 == 0, 300, 1) * gamma(7, 960, 11.75)  # as where some rows have 300 times the norm
REPORTS: dict[str, Callable[[], RadiusReport]] = {
    "plain": lambda: report_of(ROWS),
    "statistics": lambda: full_report(ROWS),
    "no distance": lambda: report_of(EMPTY, null_model=None),
    "no distance, statistics": lambda: full_report(EMPTY, intrinsic_dimension=dimension(None)),
    "one distance": lambda: report_of(ROWS[:1]),
    "one value": lambda: full_report(np.full(9, 3.0)),
    "zeros": lambda: full_report(np.zeros(5)),
    "duplicates": lambda: full_report(BACKWARDS),
    "1e-149": lambda: full_report(1e-149 * ROWS, null_models=[]),
    "1e149": lambda: full_report(1e149 * ROWS, error=1e147),
    "1e-300": lambda: full_report(1e-300 * ROWS),
    "1e300": lambda: full_report(1e300 * ROWS, error=1e299),
    "subnormal": lambda: report_of(5e-324 * np.arange(9)),
    "neighbouring numbers": lambda: report_of(1 + np.arange(6) * 2.0**-52),
    "an error of 0": lambda: full_report(1e149 * np.ones(9), error=0),
    "null models without histograms": lambda: full_report(ROWS, null_models=[null_of(kind, None) for kind in NULLS]),
    "null models far away": lambda: full_report(ROWS, null_models=[null_of("gaussian", 1e9 * ROWS)]),
    "no null model": lambda: full_report(ROWS, null_models=[], null_model=None),
    "no dimension, no law": lambda: full_report(
        ROWS, intrinsic_dimension=dimension(None), sample_size=sample_size(None, ())
    ),
    "no points": lambda: full_report(
        ROWS, sample_size=sample_size(None, ()).model_copy(update={"points": []}), intrinsic_dimension=None
    ),
    "a dimension of 1e300": lambda: full_report(ROWS, intrinsic_dimension=dimension(1e300)),
    "extrapolated to 10**18": lambda: full_report(ROWS, sample_size=sample_size(2.0, (10**18,))),
    "64 fractions": lambda: full_report(ROWS, fractions=tuple((at + 1) / 64 for at in range(64))),
    "a name of 128 wide letters": lambda: report_of(ROWS, name="W" * 128),
    "a name that looks like a formula": lambda: report_of(ROWS, name=r"$\frac$ 模型 $x_"),
    "rows far off": lambda: full_report(FAR, error=90),
    "reference": lambda: report_of(ROWS, reference="act_2", null_model=None),
}


def drawn(report: RadiusReport) -> Figure:
    with figure_style():
        figure = radius_figure(report)
        figure.draw_without_rendering()
    return figure


def line(axes: Axes, name: str) -> Line2D:
    return next(each for each in axes.lines if each.get_gid() == name)


def points(each: Line2D) -> list[list[float]]:
    """Its x and its y."""
    return [np.asarray(values, dtype=np.float64).tolist() for values in each.get_data()]


def heights(figure: Figure, name: str = "fraction-1") -> np.ndarray:
    """The density of a curve in each bin."""
    return steps(figure.axes[0])[name].get_data()[0]


def steps(axes: Axes) -> dict[str, StepPatch]:
    return {str(each.get_gid()): each for each in axes.patches if isinstance(each, StepPatch)}


def texts(figure: Figure) -> list[Text]:
    """All text that is drawn; matplotlib keeps labels of ticks beyond the ends of an axis too."""
    beyond = {label for axes in figure.axes for label in beyond_ends(axes)}
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in beyond]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def beyond_ends(axes: Axes) -> Iterator[Text]:
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                yield tick.label1


def legends(figure: Figure | SubFigure) -> list[Legend]:
    return [*figure.legends, *(legend for part in figure.subfigs for legend in legends(part))]


@pytest.fixture(scope="module")
def full() -> Figure:
    """With all statistics; tests do not change it."""
    return drawn(full_report(ROWS))


# The others are drawn in the long profile.
_ALWAYS = (
    "rows far off",
    "statistics",
    "one value",
    "64 fractions",
    "1e-149",
)
_LONG = pytest.mark.long


@pytest.mark.parametrize("name", [name if name in _ALWAYS else pytest.param(name, marks=_LONG) for name in REPORTS])
def test_any_report_is_drawn_without_overlaps(name: str):
    """Within the canvas, all data within the axis, no text across another, no legend over a panel."""
    figure = drawn(REPORTS[name]())
    axes, canvas = figure.axes[0], figure.bbox.padded(1)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert [text for text, box in boxes if not canvas.x0 <= box.x0 <= box.x1 <= canvas.x1] == []
    assert [text for text, box in boxes if not canvas.y0 <= box.y0 <= box.y1 <= canvas.y1] == []
    inner = [(text, box.padded(-1)) for text, box in boxes]
    assert [(one, two) for (one, a), (two, b) in combinations(inner, 2) if a.overlaps(b)] == []
    keys = [legend.get_window_extent() for legend in legends(figure)]
    assert not any(key.overlaps(each.bbox) for key in keys for each in figure.axes)
    low, high = axes.get_xlim()
    for gid, step in steps(axes).items():
        values, edges, _ = step.get_data()
        assert values.max() <= axes.get_ylim()[1]
        assert low <= edges[0] < edges[-1] <= high or not gid.startswith("fraction")


def test_all_text_has_one_size(full: Figure):
    assert {text.get_fontsize() for text in texts(full)} == {FONT_SIZE}


def test_means_stand_with_their_intervals_in_panel_and_legend(full: Figure):
    axes = full.axes[0]
    mean = ROWS.mean()
    assert points(line(axes, "interval-fraction-1"))[0] == pytest.approx([mean - 0.14, mean + 0.14])
    assert points(line(axes, "mean-fraction-1"))[0] == pytest.approx([mean])
    assert points(line(axes, "median-fraction-1"))[0] == pytest.approx([np.median(ROWS)])
    label = f"100 %, n = 400: {mean:.2f} ± 0.14, median {np.median(ROWS):.4g}"
    assert label in {text.get_text() for text in texts(full)}
    rows = [points(line(axes, f"mean-{name}"))[1][0] for name in ("fraction-0.5", "fraction-1", *NULLS)]
    assert rows == sorted(set(rows), reverse=True)


def test_densities_are_those_of_the_histograms(full: Figure):
    found = steps(full.axes[0])
    assert list(found) == [*NULLS, "fraction-0.5", "fraction-1"]
    for step in found.values():
        values, edges, _ = step.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(1)


def test_without_statistics_there_is_one_panel_and_the_gaussian_null_is_a_line():
    figure = drawn(report_of(ROWS))
    assert len(figure.axes) == 1
    assert list(steps(figure.axes[0])) == ["fraction-0.5", "fraction-1"]
    upright = [each for each in figure.axes[0].lines if points(each)[0] == [12, 12]]
    assert len(upright) == 1
    assert not any("±" in text.get_text() for text in texts(figure))


def test_lines_differ_without_colour(full: Figure):
    found = steps(full.axes[0])
    assert len({str(each.get_linestyle()) for each in found.values()}) == len(found)


def test_theory_outside_the_data_is_an_arrow_at_the_border():
    axes = drawn(report_of(100 + ROWS, null_model=None)).axes[0]
    assert axes.get_xlim()[0] > 100
    assert {str(each.get_gid()) for each in axes.lines} >= {"arrow-paper_literal", "arrow-corrected"}
    assert line(axes, "arrow-paper_literal").get_marker() == "<"
    above = drawn(report_of(0.01 * ROWS, null_model=None)).axes[0]
    assert line(above, "arrow-paper_literal").get_marker() == ">"


def test_theory_inside_the_data_is_a_line_at_its_value():
    report = report_of(ROWS / 3)
    axes = drawn(report).axes[0]
    for name in ("paper_literal", "corrected"):
        value = report.theory[name]["nn_distance"]
        assert points(line(axes, name))[0] == [value, value]


def test_rows_at_0_are_counted_and_do_not_flatten_the_others():
    figure = drawn(report_of(BACKWARDS))
    assert heights(figure)[0] == 0
    assert heights(figure).max() > 0.5 * figure.axes[0].spines["left"].get_bounds()[1]
    assert any("300 of 700 rows at 0" in text.get_text() for text in texts(figure))


def test_near_duplicates_do_not_flatten_the_others_either():
    near = np.concatenate([ROWS, np.full(300, 1e-9)])
    figure = drawn(report_of(near, null_model=None))
    assert heights(figure)[0] == 0
    assert any("300 of 700 rows below" in text.get_text() for text in texts(figure))


def test_rows_far_off_are_counted_and_do_not_flatten_the_others():
    """One row in 32 at 300 times the distance of the others."""
    figure = drawn(full_report(FAR, error=90))
    near = FAR[np.arange(len(FAR)) % 32 > 0]
    assert (heights(figure) > 0.1 * heights(figure).max()).sum() > 8
    assert figure.axes[0].get_xlim()[1] < 5 * near.max()
    assert any("30 beyond" in text.get_text() for text in texts(figure))
    mean = line(figure.axes[0], "mean-fraction-1")
    assert (mean.get_marker(), mean.get_transform()) == (">", figure.axes[0].transAxes)
    assert FAR.mean() > figure.axes[0].get_xlim()[1]


def test_a_null_model_much_higher_than_the_data_is_cut_off_and_says_so():
    sharp = null_of("gaussian", np.random.default_rng(0).normal(12, 1e-3, 500))
    figure = drawn(full_report(ROWS, null_models=[sharp]))
    assert heights(figure).max() > heights(figure, "gaussian").max() / 4
    assert any("cut off" in text.get_text() for text in texts(figure))


def test_dimension_over_scale_has_intervals_and_marks_two_nn(full: Figure):
    axes = full.axes[1]
    gride = next(each for each in axes.lines if str(each.get_label()).startswith("Gride"))
    assert points(gride) == [[10, 20, 40], [9, 9, 9]]
    bars = [points(each) for each in axes.lines if each.get_marker() == "_"]
    assert bars == [[[x, x], ends] for ends in ([8, 10], [14, 16]) for x in (10, 20)]
    assert points(line(axes, "two-nn")) == [[10], [9]]
    assert (axes.get_xscale(), axes.get_ylim()[0]) == ("log", 0)


def test_the_law_goes_through_points_and_what_it_extrapolates_to(full: Figure):
    axes = full.axes[2]
    ends, means = points(line(axes, "law-beyond"))
    assert ends == pytest.approx([100, 10**6])
    assert means == pytest.approx([20 * 100**-0.1, 20 * 10**-0.6])
    assert points(line(axes, "law"))[0] == pytest.approx([100, 400])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    low, high = axes.get_xlim()
    assert low < 100 < 10**6 < high


def test_what_cannot_be_given_has_its_reason_in_the_panel():
    figure = drawn(REPORTS["no dimension, no law"]())
    assert "no estimate over scale: too few rows" in {text.get_text() for text in texts(figure)}
    assert any("no law: too few points" in text.get_text() for text in texts(figure))
    assert not [each for each in figure.axes[2].lines if str(each.get_gid()).startswith("law")]


@pytest.mark.long
def test_files_embed_their_fonts_and_are_the_same_every_time(tmp_path: Path):
    report = full_report(ROWS)
    first, second = draw_radius_figure(report, tmp_path / "a"), draw_radius_figure(report, tmp_path / "b")
    png, svg, pdf = (path.read_bytes() for path in first)
    assert [png, svg, pdf] == [path.read_bytes() for path in second]
    assert int.from_bytes(png[16:20], "big") == 1200
    assert b"<text" not in svg
    assert re.findall(rb"/FontFile\d?", pdf)
    assert b"/Type3" not in pdf
