"""Which files this process opens: an audit hook that notes the paths while a test listens."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_listening: list[list[tuple[Path, int]]] = []
_WRITES = os.O_WRONLY | os.O_RDWR


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _listening and isinstance(arguments[0], str | bytes | os.PathLike):
        path = Path(os.fsdecode(arguments[0]))
        for heard in _listening:
            heard.append((path, arguments[2] or 0))


sys.addaudithook(_note)  # which cannot be removed; it does nothing while nobody listens


class Opened:
    """What was opened so far."""

    def __init__(self, noted: list[tuple[Path, int]]) -> None:
        self._noted = noted

    def below(self, folder: Path) -> list[Path]:
        """The paths below `folder`, links followed."""
        return [path for path, _ in self._noted if _real(path).is_relative_to(folder)]

    def written_below(self, folder: Path) -> list[Path]:
        return [path for path, flags in self._noted if flags & _WRITES and _real(path).is_relative_to(folder)]


@contextmanager
def listening() -> Iterator[Opened]:
    """Note what is opened within, in all threads."""
    noted: list[tuple[Path, int]] = []
    _listening.append(noted)
    try:
        yield Opened(noted)
    finally:
        _listening.remove(noted)


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path
