"""The load of a GPU, for a worker's report: memory by CUDA, utilisation by NVIDIA's management library."""

from __future__ import annotations

import ctypes
import functools

import torch

from workers.devices.device import choose_device

_LIBRARY = "libnvidia-ml.so.1"  # comes with the driver


class _Utilisation(ctypes.Structure):
    """`nvmlUtilization_t`: percent of the last sample period."""

    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


def device_load(name: str) -> tuple[int | None, float | None]:
    """Bytes in use by all processes, and the share of the last moments with a kernel running; None each where unknown.

    A CPU has neither: what its process uses is reported as main memory. A GPU is not touched before a segment has used
    it, as the first use takes hundreds of megabytes.
    """
    device = choose_device(name)
    if device.type != "cuda" or not torch.cuda.is_initialized():
        return None, None
    free, total = torch.cuda.mem_get_info(device)
    return total - free, _utilisation(str(torch.cuda.get_device_properties(device).uuid))


def _utilisation(uuid: str) -> float | None:
    library, found, device = _management_library(), _Utilisation(), ctypes.c_void_p()
    if library is None:
        return None
    wanted = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
    if library.nvmlDeviceGetHandleByUUID(wanted.encode(), ctypes.byref(device)):
        return None
    if library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(found)):
        return None
    return found.gpu / 100


@functools.cache
def _management_library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    return None if library.nvmlInit_v2() else library
