"""Views of a product that grows: a folder of figures and tables for each step at which it was drawn."""

from __future__ import annotations

METRICS = "metrics.parquet"


def view_name(step: int) -> str:
    """The folder of the view as of `step`; later ones sort after earlier ones."""
    return f"view-{step:08d}"
