"""Figures as SVG with a text alternative: marks with intervals beside a reference, or curves. No script, no font."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from service.contracts.reproduction import ChartCurve, ChartMark, ClaimChart

_WIDTH, _ROW, _LABEL, _TOP, _BOTTOM = 760, 24, 330, 16, 44
_CURVE_HEIGHT, _LEFT, _RIGHT = 320, 70, 150
_COLOURS = ("#2a6fbb", "#c2571a", "#3a8a4d", "#8a4fa3", "#937200", "#b0376b")
_TICKS = 5
_MOST_CHARACTERS = 52  # of a label beside its mark


def chart_svg(claim: str, chart: ClaimChart) -> str:
    """The figure of a claim; empty where it has nothing to show."""
    if chart.marks:
        return _marks_svg(claim, chart)
    return _curves_svg(claim, chart) if any(curve.x for curve in chart.curves) else ""


def alternative(chart: ClaimChart) -> str:
    """The figure's content in words and numbers."""
    reference = "" if chart.reference is None else f"; the line is at {chart.reference:g}"
    if chart.marks:
        listed = "; ".join(f"{mark.label}: {mark.value:.4g}{_interval_text(mark)}" for mark in chart.marks)
    else:
        listed = "; ".join(f"{curve.label}: {_ends(curve)}" for curve in chart.curves if curve.x)
    return f"{chart.title}, {chart.unit}{reference}. {listed}."


def _interval_text(mark: ChartMark) -> str:
    return "" if mark.interval is None else f" [{mark.interval[0]:.4g}, {mark.interval[1]:.4g}]"


def _ends(curve: ChartCurve) -> str:
    return f"from {curve.y[0]:.4g} at {curve.x[0]:g} to {curve.y[-1]:.4g} at {curve.x[-1]:g}"


def _marks_svg(claim: str, chart: ClaimChart) -> str:
    values = [end for mark in chart.marks for end in (mark.value, *(mark.interval or ()))]
    low, high = _range([*values, *([] if chart.reference is None else [chart.reference])])
    bottom = _TOP + _ROW * len(chart.marks)

    def x(value: float) -> float:
        return _LABEL + (value - low) / (high - low) * (_WIDTH - _LABEL - 20)

    parts = [_axis(low, high, x, bottom, f"{chart.title} ({chart.unit})")]
    if chart.reference is not None:
        parts.append(_reference_line(x(chart.reference), bottom, chart.reference_label))
    for row, mark in enumerate(chart.marks):
        y = _TOP + _ROW * (row + 0.5)
        parts.append(f'<text x="{_LABEL - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(mark.label))}</text>')
        if mark.interval is not None:
            ends = x(mark.interval[0]), x(mark.interval[1])
            parts.append(f'<path d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}" stroke="{_COLOURS[0]}" stroke-width="2"/>')
        parts.append(f'<circle cx="{x(mark.value):.1f}" cy="{y:.1f}" r="4" fill="{_COLOURS[0]}"/>')
    return _svg(claim, chart, bottom + _BOTTOM, parts)


def _curves_svg(claim: str, chart: ClaimChart) -> str:
    curves = [curve for curve in chart.curves if curve.x]
    xs, ys = ([value for curve in curves for value in getattr(curve, name)] for name in ("x", "y"))
    low_x, high_x = _range(xs, margin=0.0)
    low_y, high_y = _range([*ys, *([] if chart.reference is None else [chart.reference])])
    bottom, right = _TOP + _CURVE_HEIGHT, _WIDTH - _RIGHT

    def x(value: float) -> float:
        return _LEFT + (value - low_x) / (high_x - low_x) * (right - _LEFT)

    def y(value: float) -> float:
        return bottom - (value - low_y) / (high_y - low_y) * _CURVE_HEIGHT

    parts = [_axis(low_x, high_x, x, bottom, chart.x_label or "", left=_LEFT, right=right)]
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 5}">{escape(f"{chart.title} ({chart.unit})")}</text>')
    for tick in _ticks(low_y, high_y):
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<path d="M{_LEFT} {y(tick):.1f}H{right}" stroke="currentColor" stroke-opacity=".15"/>')
    if chart.reference is not None:
        at = y(chart.reference)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{right}" stroke="currentColor" stroke-dasharray="5 4"/>')
        parts.append(f'<text x="{right + 8}" y="{at + 4:.1f}">{escape(chart.reference_label or "")}</text>')
    for place, curve in enumerate(curves):
        colour, points = _COLOURS[place % len(_COLOURS)], zip(curve.x, curve.y, strict=True)
        line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [
            f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>'
            for a, b in zip(curve.x, curve.y, strict=True)
            if len(curve.x) < 20
        ]
        top = _TOP + 16 * (place + 1)
        parts.append(
            f'<text x="{right - 6}" y="{top}" text-anchor="end" fill="{colour}">{escape(_short(curve.label))}</text>'
        )
    return _svg(claim, chart, bottom + _BOTTOM, parts)


def _svg(claim: str, chart: ClaimChart, height: float, parts: Sequence[str]) -> str:
    name = escape(claim)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="currentColor"><title id="{name}-title">{name}: {escape(chart.title)}</title>'
        f'<desc id="{name}-desc">{escape(alternative(chart))}</desc>{"".join(parts)}</svg>'
    )


def _axis(
    low: float, high: float, x: object, bottom: float, title: str, *, left: float = _LABEL, right: float = _WIDTH - 20
) -> str:
    assert callable(x)
    marks = "".join(
        f'<path d="M{x(tick):.1f} {bottom:.1f}v5" stroke="currentColor"/>'
        f'<text x="{x(tick):.1f}" y="{bottom + 18:.1f}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(low, high)
    )
    middle = (left + right) / 2
    return (
        f'<path d="M{left} {bottom:.1f}H{right}" stroke="currentColor"/>{marks}'
        f'<text x="{middle:.1f}" y="{bottom + 36:.1f}" text-anchor="middle">{escape(title)}</text>'
    )


def _reference_line(x: float, bottom: float, label: str | None) -> str:
    line = f'<path d="M{x:.1f} {_TOP - 4}V{bottom:.1f}" stroke="currentColor" stroke-dasharray="5 4"/>'
    return line if not label else f'{line}<text x="{x:.1f}" y="{_TOP - 6}" text-anchor="middle">{escape(label)}</text>'


def _range(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        half = abs(low) / 2 or 0.5
        return low - half, high + half
    return low - margin * (high - low), high + margin * (high - low)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers in the range, about five."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first = math.ceil(low / step)
    return [float(f"{place * step:.12g}") for place in range(first, math.floor(high / step) + 1)]


def _short(label: str) -> str:
    return label if len(label) <= _MOST_CHARACTERS else f"{label[: _MOST_CHARACTERS - 1]}…"
