"""A worker's report of itself, in its heartbeat."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from service import __version__
from service.contracts.base import now
from service.contracts.workers import WorkerReport
from service.jobs.engine import APP_VERSION

_STATM = Path("/proc/self/statm")


def reporter(device: str, ended: Mapping[str, int]) -> Callable[[], WorkerReport]:
    """A function that reports this process as it is now.

    Args:
        device: the setting; the control worker has no device and imports no torch.
        ended: the process's own counts of segments.
    """
    versions, started_at = _versions(), now()

    def report() -> WorkerReport:
        used, utilisation = _device_load(device)
        return WorkerReport(
            versions=versions,
            started_at=started_at,
            segments=dict(ended),
            resident_bytes=_resident_bytes(),
            device_used_bytes=used,
            device_utilisation=utilisation,
            kernels=_kernels(),
        )

    return report


def _versions() -> dict[str, str]:
    torch = sys.modules.get("torch")
    found = {"radius": __version__, "jobs": APP_VERSION, "python": platform.python_version()}
    return found | ({} if torch is None else {"torch": str(torch.__version__)})


def _resident_bytes() -> int | None:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        return None


def _kernels() -> dict[str, bool]:
    if "torch" not in sys.modules:
        return {}
    from workers.devices.kernels import PASSED

    return dict(PASSED)


def _device_load(device: str) -> tuple[int | None, float | None]:
    if "torch" not in sys.modules:
        return None, None
    from workers.devices.load import device_load

    return device_load(device)
