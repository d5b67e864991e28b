"""Access of other users of this machine to the service's files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from service.addresses import is_loopback
from service.settings import Settings

_READ = stat.S_IRGRP | stat.S_IROTH
_WRITE = stat.S_IWGRP | stat.S_IWOTH


def keep_files_private() -> None:
    """Give every folder and file that this process and its children make to this user alone: 0700 and 0600."""
    os.umask(0o077)


def others_may_write(path: Path) -> bool:
    """Whether users other than the owner may write a file; raises `OSError` when it cannot be examined."""
    return bool(path.stat().st_mode & _WRITE)


def others_may_read(path: Path) -> bool:
    """Whether users other than the owner may read a file; raises `OSError` when it cannot be examined."""
    return bool(path.stat().st_mode & _READ)


def access_warnings(settings: Settings) -> list[str]:
    """Warnings of other users who may use the service or read its keys, for its start."""
    keys = settings.api_keys_file
    if keys is None:
        if is_loopback(settings.host):
            return ["no API keys: every user of this machine can use the service and read all that it holds"]
        return []
    if keys.exists() and others_may_read(keys):
        return ["other users of this machine can read the keys file; it has hashes only, chmod 600 keeps it private"]
    return []
