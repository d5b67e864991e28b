"""The SHA-256 of files that are read again and again, computed once for each state of a file."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from service.artifacts.atomic import sha256_file
from service.artifacts.bounded_cache import BoundedCache

_MOST = 4096  # files; an entry takes half a kilobyte
_STRIPES = 16
# Two changes within the resolution of a file system's clock leave one time: a younger file is hashed every time.
MIN_AGE_S = 2.0

Stamp = tuple[int, ...]


class FileDigests:
    """Digests by path, each valid while device, inode, size, and times of modification and of change stay.

    Reads that answer a request use it. Whoever computes a result from a file hashes the bytes themselves, because a
    damaged disk changes bytes without changing a time. Threads may share it; several that want one file hash it once.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._known: BoundedCache[Path, tuple[Stamp, str]] = BoundedCache(most)
        self._locks = [threading.Lock() for _ in range(_STRIPES)]

    def sha256(self, path: Path) -> str:
        """Hexadecimal SHA-256 of the file's bytes; raises `OSError` where it cannot be read."""
        with self._locks[hash(path) % _STRIPES]:
            stat = path.stat()
            stamp, known = _stamp(stat), self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            digest = sha256_file(path)
            old_enough = time.time() - max(stat.st_mtime, stat.st_ctime) > MIN_AGE_S
            if old_enough and _stamp(path.stat()) == stamp:  # else it may have changed while it was hashed
                self._known.put(path, (stamp, digest))
            return digest


def _stamp(stat: os.stat_result) -> Stamp:
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
