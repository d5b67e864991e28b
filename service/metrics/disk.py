"""Bytes of the data directory's folders. Adding them up reads every folder, so it is done rarely and aside."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from service.settings import Settings

_EVERY_S = 300.0


class DiskMetrics:
    """A collector of free space, read at once, and of used space, added up in a thread at most every five minutes."""

    def __init__(self, settings: Settings) -> None:
        self._data_dir = settings.data_dir
        self._folders = {
            "artifacts": settings.artifacts_root,
            "uploads": settings.uploads_root,
            "index_cache": settings.index_cache,
            "logs": settings.data_dir / "logs",
        }
        self._used: dict[str, int] = {}
        self._since_s = float("-inf")
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Free space now, used space as last added up."""
        free = GaugeMetricFamily("radius_disk_free_bytes", "Free space of the data directory's disk.")
        with suppress(OSError):
            free.add_metric((), shutil.disk_usage(self._data_dir).free)
        used = GaugeMetricFamily("radius_disk_used_bytes", "Bytes of files, at most 5 minutes old.", labels=("folder",))
        self._renew()
        for folder, count in self._used.items():
            used.add_metric((folder,), count)
        yield from (free, used)

    def _renew(self) -> None:
        with self._lock:
            if time.monotonic() - self._since_s < _EVERY_S:
                return
            self._since_s = time.monotonic()
        threading.Thread(target=self._add_up, name="disk use", daemon=True).start()

    def _add_up(self) -> None:
        self._used = {name: _bytes_below(folder) for name, folder in self._folders.items()}


def _bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder, 0 where there is none; files that vanish meanwhile do not count."""
    found = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                found += (
                    _bytes_below(Path(entry.path))
                    if entry.is_dir(follow_symlinks=False)
                    else entry.stat(follow_symlinks=False).st_size
                )
    return found
