"""Whether a device still computes. A CUDA error that is sticky makes every later call of the process fail."""

from __future__ import annotations

import torch


def is_alive(device: torch.device) -> bool:
    """Compute a sum on the device and wait for it; a CPU is always alive."""
    if device.type != "cuda":
        return True
    try:
        return float(torch.ones(2, device=device).sum()) == 2.0
    except Exception as error:  # torch.AcceleratorError, RuntimeError, and whatever a driver's loss raises
        return isinstance(error, torch.OutOfMemoryError)  # a full device is not lost
