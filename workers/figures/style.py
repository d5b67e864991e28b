"""The style of figures for print: one font size, colours that colour-blind readers can tell apart, units, ticks."""

from __future__ import annotations

import math
import textwrap
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from matplotlib import rc_context
from matplotlib.axis import XAxis, YAxis
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullFormatter, NullLocator

FONT_SIZE = 9
# Okabe and Ito 2008. Lines of different colours have different dashes as well, for print without colour.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
_DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 2, 1, 2)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 3)),
    (0, (9, 2, 3, 2)),
)  # fmt: skip
_MARKERS = "osD^vPX*"
_TITLE_WIDTH = 75  # characters of a line, however wide they are
_TEXT: dict[Any, Any] = dict.fromkeys(
    ("font.size", "axes.labelsize", "axes.titlesize", "figure.titlesize", "legend.fontsize", "legend.title_fontsize",
     "xtick.labelsize", "ytick.labelsize"), FONT_SIZE,
)  # fmt: skip
_LEAST_PLAIN, _LARGEST_PLAIN = 1e-3, 1e6
_LEAST_EXPONENT = -307
_MISSING = "\N{WHITE SQUARE}"


def figure_style() -> AbstractContextManager[None]:
    """Within the block all text is of one size; matplotlib makes ticks late, so that saving belongs into it too."""
    return rc_context(_TEXT)


def printable(text: str) -> str:
    """The text with □ for each character that the figures' font lacks."""
    return "".join(character if _font().get_char_index(ord(character)) else _MISSING for character in text)


def title_of(*parts: str) -> str:
    """The parts below each other, each in lines that fit a figure 10 inches wide."""
    return "\n".join(wrapped(part, _TITLE_WIDTH) for part in parts if part)


def wrapped(text: str, width: int) -> str:
    """The printable text in lines of at most `width` characters."""
    return "\n".join(printable(line) for line in textwrap.wrap(text, width))


def line_style(at: int) -> dict[str, Any]:
    """Colour and dashes of a curve by its index; the first 8 differ in their dashes, the first 40 in one of both."""
    return {"color": _COLOURS[at % len(_COLOURS)], "linestyle": _DASHES[at % len(_DASHES)]}


def marker_of(at: int) -> str:
    """The marker of a curve by its index; the first 8 differ."""
    return _MARKERS[at % len(_MARKERS)]


@cache
def _font() -> FT2Font:
    return get_font(findfont(FontProperties()))


def axis_unit(largest: float) -> float:
    """1, or the power of ten in which distances up to `largest` have a few digits."""
    if _LEAST_PLAIN <= largest < _LARGEST_PLAIN or not largest > 0:
        return 1.0
    return 10.0 ** max(_LEAST_EXPONENT, math.floor(math.log10(largest)))


def in_units(unit: float) -> str:
    """The unit, for an axis label."""
    return "" if unit == 1 else f", in units of {unit:.0e}"


def logarithmic(axis: XAxis | YAxis, low: float, high: float) -> None:
    """Make the axis logarithmic around [low, high], 0 < low, with round ticks also within a decade."""
    margin = max(1.02, (high / low) ** 0.06)
    limits = {f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (low / margin, high * margin)}
    axis.axes.set(**limits)
    if high / low < 20:
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_locator(_Round(low / margin, high * margin))
        axis.set_major_formatter(FormatStrFormatter("%.6g"))


class _Round(MaxNLocator):
    """Round values, which lie closer together in the lower part of a logarithmic axis."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(nbins=5)
        self._ends = low, high

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        low, high = self._ends
        return [float(tick) for tick in super().tick_values(low, high) if low <= tick <= high]
