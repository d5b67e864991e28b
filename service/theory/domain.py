"""Ranges of the arguments of the closed forms; an error names the field and the value."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidInput

MAX_DIMENSION = 2**36  # a chunk of 2^20 tokens, each of 2^16 numbers
MAX_PATTERNS = 10**18
MIN_RADIUS, MAX_RADIUS = 1e-150, 1e150  # the square is still a double
MAX_COUNT = 1e30  # of parameters or tokens
MAX_LOG = 1e300  # of a partition function, and of a loss


def check(name: str, value: float, low: float, high: float) -> None:
    """Refuse a `value` that is not a number from `low` to `high`.

    Raises:
        InvalidInput: with the field `name`.
    """
    if not low <= value <= high:
        raise InvalidInput(f"{name} must be from {shown(low)} to {shown(high)}, not {shown(value)}", field=name)


def check_dimension(n: float) -> None:
    """1 ≤ n ≤ 2^36."""
    check("n", n, 1, MAX_DIMENSION)


def check_patterns(d: float) -> None:
    """1 ≤ d ≤ 10^18."""
    check("d", d, 1, MAX_PATTERNS)


def check_radius(r: float) -> None:
    """10^−150 ≤ r ≤ 10^150."""
    check("r", r, MIN_RADIUS, MAX_RADIUS)


def check_radii(radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """The radii as float64; each must be 0 or a radius, and there must be one at least, shape (m,)."""
    values = np.asarray(radii, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise InvalidInput("radii must be a list of at least one number", field="radii")
    wrong = values[~((values == 0) | ((values >= MIN_RADIUS) & (values <= MAX_RADIUS)))]
    if len(wrong):
        raise InvalidInput(f"radii must be 0 or from 1e-150 to 1e150, not {shown(float(wrong[0]))}", field="radii")
    return values


def shown(value: float) -> str:
    """A number as text for people; very long ones are shortened."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) < 10**12:
        return str(value)
    return f"{value:.9g}" if abs(value) <= 10**300 else "one beyond 1e300"
