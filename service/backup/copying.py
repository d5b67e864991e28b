"""Copies of files, with the SHA-256 of what was copied."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from service.artifacts.atomic import atomic_path
from service.backup.listing import CopiedFile
from service.errors import CorruptArtifact

_BLOCK = 1 << 20
_Stamp = tuple[int, int, int]


class FileCopies:
    """Copies of a folder's files that can be brought up to date again and again."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self._stamps: dict[str, _Stamp] = {}
        self.copied: dict[str, CopiedFile] = {}

    def update(self, paths: Iterator[Path]) -> None:
        """Copy those of `paths` that are new or have changed since their copy; one that vanishes meanwhile is left out.

        A file that vanishes later stays: the state of the database that is read meanwhile may name it.
        """
        for path in paths:
            name = path.relative_to(self._source).as_posix()
            try:
                found = path.stat()
                stamp = found.st_ino, found.st_size, found.st_mtime_ns
                if self._stamps.get(name) != stamp:
                    self.copied[name] = copy_file(path, self._target / name, name)
                    self._stamps[name] = stamp
            except FileNotFoundError:
                continue


def files_below(folder: Path, left_out: frozenset[str] = frozenset(), *, first: Path | None = None) -> Iterator[Path]:
    """All finished files below a folder, those below `first` before the others; links are followed once.

    Args:
        left_out: names in `folder` itself that are not entered.
    """
    roots = ([first] if first is not None else []) + [folder]
    seen: set[tuple[int, int]] = set()
    for root in roots:
        for parent, folders, names in os.walk(root, followlinks=True):
            known = Path(parent)
            if known == folder:
                folders[:] = [name for name in folders if name not in left_out]
            folders[:] = [name for name in folders if _is_new(known / name, seen)]
            wanted = (name for name in sorted(names) if known != folder or name not in left_out)
            yield from (known / name for name in wanted if _is_finished(known / name))


def copy_file(source: Path, target: Path, name: str, sha256: str | None = None) -> CopiedFile:
    """Copy a file atomically, hashing what is copied.

    Raises:
        CorruptArtifact: it does not have the SHA-256 that was given.
        FileNotFoundError: it vanished.
        StorageFull: no space left on the device.
    """
    digest, count = hashlib.sha256(), 0
    with source.open("rb") as reading, atomic_path(target) as temporary, temporary.open("wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            count += len(block)
            writing.write(block)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise CorruptArtifact(f"{name} does not have the SHA-256 of its backup")
    return CopiedFile(path=name, bytes=count, sha256=digest.hexdigest())


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    identity = found.st_dev, found.st_ino
    fresh = identity not in seen
    seen.add(identity)
    return fresh


def _is_finished(path: Path) -> bool:
    """Whether a path is a file that nobody is still writing (`.NAME.tmp`)."""
    return path.is_file() and not (path.name.startswith(".") and path.name.endswith(".tmp"))
