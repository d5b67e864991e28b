"""The claim of `radius up` on a data directory: one holds it at a time on each host."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from service.errors import Conflict


class Claim:
    """A locked file that has the id and the URL of the process that holds it; the end of that process frees it."""

    def __init__(self, path: Path) -> None:
        """Take the claim.

        Raises:
            Conflict: another process holds it; the message has its id and its URL.
        """
        self._file = path.open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            detail = f"`radius up` runs on this data directory already, {_holder(path)}"
            raise Conflict(f"{detail}: stop it or choose another folder") from None
        self.describe("")

    def describe(self, url: str) -> None:
        """Write the id of this process and the URL at which it serves into the file."""
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_text())
        return f"process {found['pid']}" + (f" at {found['url']}" if found["url"] else "")
    except (ValueError, KeyError, TypeError):  # it is just being written
        return "another process"
