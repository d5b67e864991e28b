"""Files that appear whole or not at all, and survive a power loss once they appeared."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import StorageFull

_BLOCK = 1 << 20


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`; on leaving it is fsynced and renamed to `target`, on an error removed.

    Raises:
        StorageFull: no space left on the device.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("no space left in the data directory") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a small file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def publish_folder(staged: Path, target: Path) -> None:
    """Rename a finished folder into place; when `target` is there already, `staged` is dropped."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sync_folder(staged)
    if target.exists():
        shutil.rmtree(staged, ignore_errors=True)
    else:
        os.replace(staged, target)
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Force a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


sync_folder = sync_file  # a folder is fsynced through a descriptor just the same


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
