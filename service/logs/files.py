"""A log file that is renamed when it has grown."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path


class LogFile(logging.Handler):
    """Appends to `path`; beyond `most_bytes` the file becomes `NAME.1`, and the one before that is deleted.

    Args:
        streams: descriptors that become the same file, so that what the interpreter or a library prints is in it too:
            1 and 2 for standard output and standard error.
    """

    def __init__(self, path: Path, most_bytes: int, streams: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._path, self._most, self._streams = path, most_bytes, streams
        self._descriptor = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.write(self._descriptor, (self.format(record) + "\n").encode(errors="backslashreplace"))
            if os.fstat(self._descriptor).st_size > self._most:
                with suppress(FileNotFoundError):  # renamed before, when no new file could be opened
                    os.replace(self._path, self._path.with_name(f"{self._path.name}.1"))
                full, self._descriptor = self._descriptor, self._open()
                os.close(full)
        except Exception:
            self.handleError(record)  # a full disk ends no process

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in self._streams:
            os.dup2(descriptor, stream)
        return descriptor
