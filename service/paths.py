"""Relative paths that clients name."""

from __future__ import annotations

from pathlib import PurePosixPath


def leaves_root(relative: str) -> bool:
    """Whether a path named by a client could lead out of the folder it is relative to, links aside."""
    path = PurePosixPath(relative)
    return path.is_absolute() or ".." in path.parts
