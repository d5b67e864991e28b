"""Memory of a device: what is free, what an exhausted one raises, and its release after a segment.

Torch raises one class, but libraries that it calls raise RuntimeError with a text of their own.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from service.errors import OutOfMemory

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_TEXTS = (
    "out of memory",  # CUDA, Triton, and FAISS by cudaMalloc
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cusolver_status_alloc_failed",
    "nccl_error_memory",
    "std::bad_alloc",
    "can't allocate memory",  # torch on a CPU
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means, in any of its forms, that the memory of a device or of the host is exhausted."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _TEXTS)


_caches: list[Callable[[], None]] = []
_last_kind: list[str] = []


@contextmanager
def memory_errors_typed() -> Iterator[None]:
    """Raise `OutOfMemory` for every form of exhausted memory."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            "the device's memory is exhausted; another program may use it, or the task is too large"
        ) from error


def device_memory(device: torch.device) -> int:
    """Bytes of memory that a process can use: of the GPU, or the smaller of machine and container for a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no control groups, or no limit: "max"
        return whole


def free_bytes(device: torch.device) -> int:
    """Bytes that a GPU can still give this process, those that torch caches included; for a CPU all of its memory."""
    if device.type != "cuda":
        return device_memory(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + cached


def cached_until_other_work(release: Callable[[], None]) -> None:
    """Register a cache on the device that only one kind of work uses; `release` empties it."""
    _caches.append(release)


def release_caches(kind: str) -> None:
    """Empty the registered caches if the work that begins is of another kind than the last."""
    if _last_kind and _last_kind[-1] == kind:
        return
    _last_kind[:] = [kind]
    for release in _caches:
        release()


def free_memory() -> None:
    """Collect garbage and return torch's cached memory to the device; a device that is lost is left as it is."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError as error:  # the error that a segment failed with must not be hidden by this one
            if is_out_of_memory(error):
                raise
