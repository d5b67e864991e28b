"""Being told how far long work is; what the listener raises ends the work."""

from __future__ import annotations

from collections.abc import Callable

Tick = Callable[[float], None]


def part_of(tick: Tick, part: int, parts: int, share: float) -> None:
    """Tell `tick` the share done of all parts, from the share of one."""
    tick((part + share) / parts)
