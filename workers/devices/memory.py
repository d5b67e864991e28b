"""Memory of a device goes back to it when a segment has failed or was cancelled."""

from __future__ import annotations

import gc

import torch


def free_memory() -> None:
    """Collect what nothing refers to any more, and give what torch keeps of it back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
