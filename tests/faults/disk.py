"""A small disk for the store of artifacts, where this user may mount one: tests fill it up, and make it read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_MIB = 256


class Disk:
    """A tmpfs at `folder`; `mounted` is False where this user may not mount."""

    def __init__(self, folder: Path, size_mib: int = SIZE_MIB) -> None:
        self.folder = folder
        self.mounted = os.getuid() == 0 and self._run("mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs")

    @contextmanager
    def full(self, free_bytes: int) -> Iterator[None]:
        """No more than about so many bytes are free within the block."""
        ballast = self.folder / ".ballast"
        try:
            with ballast.open("wb", buffering=0) as stream:
                _fill(stream.fileno())
                os.ftruncate(stream.fileno(), max(0, stream.tell() - free_bytes))
            yield
        finally:
            ballast.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing can be written within the block."""
        assert self._run("mount", "-o", "remount,ro")
        try:
            yield
        finally:
            assert self._run("mount", "-o", "remount,rw")

    def unmount(self) -> None:
        if self.mounted:
            self._run("umount", "--lazy")

    def _run(self, *command: str) -> bool:
        try:
            return subprocess.run([*command, str(self.folder)], capture_output=True, check=False).returncode == 0
        except OSError:
            return False


def _fill(descriptor: int) -> None:
    block = bytes(1 << 20)
    while block:
        try:
            os.write(descriptor, block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            block = block[: len(block) // 2]
