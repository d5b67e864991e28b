"""Numbers as they are printed in tables and figures."""

from __future__ import annotations

import math


def with_error(value: float, interval: tuple[float, float] | None, alone: str = ".4g") -> str:
    """`11.75 ± 0.14`: the value and half of its interval, to two digits of that; without one in format `alone`."""
    if interval is None:
        return format(value, alone)
    half = (interval[1] - interval[0]) / 2
    if not (half > 0 and math.isfinite(half)):
        return f"{value:.4f} ± 0" if 1e-3 <= abs(value) < 1e6 else f"{value:.6g} ± 0"
    digits = max(0, 1 - math.floor(math.log10(half)))
    if digits > 6 or half >= 1e6:
        return f"{value:.6g} ± {half:.2g}"
    return f"{value:.{digits}f} ± {half:.{digits}f}"
