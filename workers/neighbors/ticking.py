"""Progress callbacks: called with the share of the work done; an exception that one raises ends the work."""

from __future__ import annotations

from collections.abc import Callable

Tick = Callable[[float], None]


def part_of(tick: Tick, part: int, parts: int, share: float) -> None:
    """Call `tick` with the share of all parts done, from the share of one part."""
    tick((part + share) / parts)
