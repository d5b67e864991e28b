"""Atomic, durable writes: a file or folder appears complete or not at all, and then survives a power loss."""

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
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`; on leaving it is fsynced and renamed to `target`, on an error removed.

    Raises:
        StorageFull: no space left on the device, or it is read-only.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    with storage_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            sync_file(temporary)
            os.replace(temporary, target)
            sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise `StorageFull` for an error of a disk that is full or read-only."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise StorageFull("no space left in the data directory") from error
        if error.errno == errno.EROFS:
            raise StorageFull("the data directory is read-only") from error
        raise


def write_bytes(target: Path, content: bytes) -> None:
    """Write a small file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def publish_file(written: Path, target: Path) -> None:
    """Fsync a finished file and rename it to `target`.

    Raises:
        StorageFull: no space left on the device, or it is read-only.
    """
    with storage_errors():
        sync_file(written)
        os.replace(written, target)
        sync_folder(target.parent)


def publish_folder(staged: Path, target: Path) -> None:
    """Rename a finished folder into place; where `target` exists already, `staged` is removed.

    Raises:
        StorageFull: no space left on the device, or it is read-only.
    """
    with storage_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(staged)
        try:
            os.replace(staged, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            shutil.rmtree(staged, ignore_errors=True)
            sync_folder(target.parent)
            return
        try:
            sync_folder(target.parent)
        except OSError:  # a power loss might undo the rename, so the next attempt must not find it published
            shutil.rmtree(target, ignore_errors=True)
            raise


def sync_file(path: Path) -> None:
    """Force a file to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


sync_folder = sync_file  # a folder is fsynced through a descriptor too


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
