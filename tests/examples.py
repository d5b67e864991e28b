"""How many generated examples a property is tried on: all of them in the soak, a quarter of them in `make test`."""

from __future__ import annotations

from hypothesis import settings

from tests.databases.soak import SOAK


def examples(most: int = 100) -> settings:
    """At most `most` examples in the soak: new ones each time. In `make test` a quarter of them, the same each time.

    There is no deadline for one example, as several processes share the cores.
    """
    return settings(max_examples=most if SOAK else max(10, most // 4), derandomize=not SOAK, deadline=None)


def use_by_default() -> None:
    """Of every property that names no number."""
    settings.register_profile("radius", examples())
    settings.load_profile("radius")
