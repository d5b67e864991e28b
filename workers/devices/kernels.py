"""Whether a Triton kernel may be used on a device: only one that passed its self-test there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import torch

_LEAST_CAPABILITY = (8, 0)  # below it Triton compiles products to scalar code
PASSED: dict[str, bool] = {}  # by the names of the kernels that this process has tried on a GPU


@dataclass(frozen=True)
class KernelState:
    """Whether a kernel is used on one device, and why it is not."""

    fused: bool
    reason: str = ""


def try_kernel(name: str, device: torch.device, error_of: Callable[[torch.device], str | None]) -> KernelState:
    """Run a kernel's self-test where the device can have one.

    Args:
        error_of: the self-test; returns the first error, None if there is none.
    """
    if device.type != "cuda":
        return KernelState(False, "no GPU")
    reason = _obstacle(device)
    if reason is None:
        try:
            reason = error_of(device)
        except Exception as error:  # no C compiler, no cache folder, no libcuda, the compiler
            reason = f"Triton failed: {type(error).__name__}"
    PASSED[name] = reason is None
    return KernelState(reason is None, reason or "")


def _obstacle(device: torch.device) -> str | None:
    if torch.cuda.get_device_capability(device) < _LEAST_CAPABILITY:
        return "compute capability below 8.0"
    return "Triton is not installed" if importlib.util.find_spec("triton") is None else None
