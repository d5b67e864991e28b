"""Where the owners of a segment write what they publish: each in a folder of its own.

A worker that was frozen and replaced may wake and write on at any moment, so two owners never share a folder, and
nobody removes another's before the product is published: what is renamed into place then is always whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.artifacts.atomic import storage_errors


@contextmanager
def own_staging(root: Path, name: str, attempt: int) -> Iterator[Path]:
    """An empty folder for the owner of that attempt alone; what is left in it at the end is removed."""
    folder = root / f"{name}.{attempt}"
    with storage_errors():
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def collect_staging(root: Path, name: str) -> None:
    """Remove what owners that died have left of a product that is published and recorded."""
    for folder in root.glob(f"{name}.*"):
        shutil.rmtree(folder, ignore_errors=True)
