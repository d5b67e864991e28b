"""The time of each API key's last use: that of an empty file per key, set at most once a minute."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_PRECISION_S = 60.0
_DIGITS = 32  # of the SHA-256 of a key, in the name of its file
logger = logging.getLogger(__name__)


class KeyUses:
    """Notes uses under `folder`, which the processes of several hosts may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noted: dict[str, float] = {}

    def note(self, sha256: str) -> None:
        """Note that a key, known by its hash, is used now; a disk that takes nothing refuses no request."""
        at = time.monotonic()
        if at - self._noted.get(sha256, -_PRECISION_S) < _PRECISION_S:
            return
        self._noted[sha256] = at
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file(sha256).touch(0o600)
        except OSError as error:
            logger.warning("the last use of a key could not be noted: %s", error.strerror)

    def last(self, sha256: str) -> datetime | None:
        """The time of a key's last use, to the minute; None if never."""
        try:
            return datetime.fromtimestamp(self._file(sha256).stat().st_mtime, UTC)
        except OSError:
            return None

    def remove(self, sha256: str) -> None:
        """Delete the recorded use of a key that is revoked."""
        with suppress(OSError):
            self._file(sha256).unlink(missing_ok=True)

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256[:_DIGITS]
