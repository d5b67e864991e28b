"""Charts: series with their intervals, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.contracts.statistics import Histogram
from service.theory.histograms import histogram_density

Values = Sequence[float | None]
Style = Literal["area", "steps", "thin_steps", "outline", "line", "points"]


@dataclass(frozen=True)
class Series:
    """One set of points; of `area`, steps and `outline`, `x` has the edges of bins and `y` one value less.

    Attributes:
        intervals: (low, high) of each point, None where it has none.
    """

    name: str
    x: Sequence[Any]
    y: Values
    style: Style = "line"
    intervals: Sequence[tuple[float, float] | None] | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line with a label."""

    name: str
    x: float


@dataclass(frozen=True)
class Chart:
    """A chart; `text` says in words what it shows, for those who do not see it."""

    id: str
    title: str
    x_title: str
    y_title: str
    text: str
    series: Sequence[Series]
    marks: Sequence[Mark] = ()
    log_x: bool = False
    log_y: bool = False

    @property
    def payload(self) -> dict[str, Any]:
        """The chart as JSON for the script that draws it."""
        return {
            "x_title": self.x_title,
            "y_title": self.y_title,
            "log_x": self.log_x,
            "log_y": self.log_y,
            "series": [vars(series) for series in self.series],
            "marks": [vars(mark) for mark in self.marks],
        }

    @property
    def columns(self) -> list[str]:
        """Headings of the table: the abscissa, then each series."""
        return [self.x_title, *(series.name for series in self.series)]

    @property
    def rows(self) -> list[list[Any]]:
        """Rows of the table: every abscissa once, in the order in which the series have it."""
        found: dict[Any, list[Any]] = {}
        for column, series in enumerate(self.series):
            for x, y in zip(series.x, series.y, strict=False):
                found.setdefault(x, [None] * len(self.series))[column] = y
        return [[x, *values] for x, values in found.items()]


def density(name: str, histogram: Histogram, style: Style = "steps") -> Series:
    """A histogram as the share of its values per unit of the abscissa, so that those of other bins compare with it."""
    return Series(name, histogram.edges, histogram_density(histogram.counts, histogram.edges).tolist(), style)


def estimates(name: str, x: Sequence[Any], given: Iterable[Any], style: Style = "points") -> Series:
    """Estimates with their intervals."""
    values = list(given)
    return Series(name, x, [value.value for value in values], style, [value.interval for value in values])
