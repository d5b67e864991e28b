"""Storing an uploaded file atomically."""

from __future__ import annotations

import shutil
from pathlib import Path

from starlette.datastructures import UploadFile

from service.artifacts.atomic import atomic_path


def save_upload(file: UploadFile, target: Path) -> None:
    """Stream `file` to `target`; the client's file name is not used."""
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        shutil.copyfileobj(file.file, stream, 1 << 20)
