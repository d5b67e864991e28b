"""A Unix socket in a folder of the data directory, for processes of one user on one host.

The kernel takes socket paths of about a hundred bytes. A longer one is reached through a descriptor of its folder, so
that all processes meet in the same place, whatever their environment.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import InvalidInput, Unavailable

_LONGEST = 107 if sys.platform == "linux" else 103  # bytes, the final zero not counted
_DESCRIPTORS = Path("/proc/self/fd")
_BACKLOG = 128


def listen(path: Path) -> socket.socket:
    """A listening socket at `path` that replaces one left by a process that was killed; its folder becomes private.

    Raises:
        InvalidInput: the folder is another user's, or the system has no way to a path so long.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.lstat().st_uid == os.geteuid():
        path.parent.chmod(0o700)
    if (fault := _fault_of_folder(path.parent)) is not None:
        raise InvalidInput(fault, field="data_dir")
    path.unlink(missing_ok=True)
    with socket_name(path) as name:
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(name)
            path.chmod(0o600)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    return listening


def check_owner(path: Path) -> None:
    """Raise `Unavailable` unless `path` is a socket of this user, in a folder that no other user may write to."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise Unavailable("the query worker is not running") from None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise Unavailable(f"{path.name} in the data directory is not a socket of this process's user")
    if (fault := _fault_of_folder(path.parent)) is not None:
        raise Unavailable(fault)


@contextmanager
def socket_name(path: Path) -> Iterator[str]:
    """A name of `path` for the kernel's socket calls, valid within the block.

    Raises:
        InvalidInput: the path is too long, and the system has no folder of open descriptors.
    """
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    if not _DESCRIPTORS.is_dir():
        detail = f"the path of a socket in it has more than {_LONGEST} bytes, which this system does not allow"
        raise InvalidInput(detail, field="data_dir")
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_DESCRIPTORS}/{folder}/{path.name}"
    finally:
        os.close(folder)


def _fault_of_folder(folder: Path) -> str | None:
    """Why the sockets in `folder` may be another user's; None where they cannot be."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), 0):
        return f"the folder {folder.name} of the data directory belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write to the folder {folder.name} of the data directory: chmod 700 it"
    return None
