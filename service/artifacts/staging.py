"""Staging folders: each owner of a segment writes its product in a folder of its own.

A worker that was frozen and replaced may resume writing at any moment. So two owners never share a folder, and no
folder of another owner is removed before the product is published: a folder that is renamed into place is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.artifacts.atomic import storage_errors


@contextmanager
def own_staging(root: Path, name: str, attempt: int) -> Iterator[Path]:
    """An empty folder for the owner of that attempt alone; it is removed at the end.

    So is the folder around it, where it is empty: the product may have been published, and all folders removed, while
    this owner went on writing.
    """
    folder = root / f"{name}.{attempt}"
    with storage_errors():
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent != root:
            with suppress(OSError):
                folder.parent.rmdir()


def collect_staging(root: Path, name: str) -> None:
    """Remove the folders that dead owners left of a product that is published and recorded."""
    for folder in root.glob(f"{name}.*"):
        shutil.rmtree(folder, ignore_errors=True)
