"""Writing a figure as PNG, SVG and PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from service.artifacts.atomic import atomic_path
from service.contracts.radius import FIGURE_FORMATS

# Fonts are embedded: TrueType in a PDF, outlines in an SVG. With another hash salt the ids in an SVG would be random.
_VECTOR: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "radius"}


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `figure` beside `stem` in every format; returns the paths. The same figure gives the same files."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # the layout is computed once; each format would repeat it, in twice the time
    paths = [stem.with_suffix(f".{ending}") for ending in FIGURE_FORMATS]
    with rc_context(_VECTOR):
        for path in paths:
            with atomic_path(path) as temporary:
                metadata = None if path.suffix == ".png" else {_date_key(path): None}
                figure.savefig(temporary, format=path.suffix[1:], metadata=metadata)
    return paths


def _date_key(path: Path) -> str:
    """The metadata key of the date, which is left out so that equal figures are equal files."""
    return "CreationDate" if path.suffix == ".pdf" else "Date"
