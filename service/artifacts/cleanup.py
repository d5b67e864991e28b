"""Clean-up: remove files that a dead process left behind, and the least recently used entries of a cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path


def remove_stale(paths: Iterable[Path], before: datetime) -> list[Path]:
    """Remove the files and folders in which nothing was written since `before`; returns them."""
    stale = [path for path in paths if _written_at(path) < before.timestamp()]
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return stale


def trim_cache(folder: Path, most_bytes: int) -> list[str]:
    """Remove the least recently used entries until the rest fits; returns their names.

    An entry is all files of one stem; it was last used when its newest file was modified. A process that has a removed
    file open or mapped can still read it.
    """
    entries: dict[str, list[Path]] = {}
    for path in folder.glob("[!.]*"):
        entries.setdefault(path.stem, []).append(path)
    used = {stem: max(_written_at(path) for path in files) for stem, files in entries.items()}
    sizes = {stem: sum(_bytes_of(path) for path in files) for stem, files in entries.items()}
    excess, removed = sum(sizes.values()) - most_bytes, []
    for stem in sorted(entries, key=used.__getitem__):
        if excess <= 0:
            break
        for path in entries[stem]:
            path.unlink(missing_ok=True)
        excess -= sizes[stem]
        removed.append(stem)
    return removed


def _written_at(path: Path) -> float:
    """Time of the latest change of a file, or of anything in a folder; −∞ where it was just removed."""
    newest = float("-inf")
    for each in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):
            newest = max(newest, each.lstat().st_mtime)
    return newest


def _bytes_of(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
