"""Deletion of imported activation sets."""

from __future__ import annotations

import shutil

from service.catalog import activations
from service.catalog.engine import Catalog
from service.settings import Settings


def delete_import(catalog: Catalog, settings: Settings, set_id: str) -> None:
    """Delete an imported set: its row, then its files.

    Raises:
        NotFound: no such set.
        Conflict: a job made it, reads it, or has a report of it.
    """
    with catalog.begin() as connection:
        activations.delete_import(connection, set_id)
    shutil.rmtree(settings.artifacts_root / set_id, ignore_errors=True)
