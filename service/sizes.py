"""Sizes in bytes as text."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def shown_bytes(count: int) -> str:
    """Three digits in the unit in which the number is from 1 to 1,023: `1.5 KiB`."""
    value, place = float(count), 0
    while value >= 1023.5 and place < len(_UNITS) - 1:
        value, place = value / 1024, place + 1
    return f"{value:.0f} {_UNITS[place]}" if value >= 999.5 else f"{value:.3g} {_UNITS[place]}"


def shown_apart(larger: int, smaller: int) -> tuple[str, str]:
    """Two sizes, both to the byte where three digits do not distinguish them."""
    found = shown_bytes(larger), shown_bytes(smaller)
    return found if found[0] != found[1] else (f"{larger:,} bytes", f"{smaller:,} bytes")
