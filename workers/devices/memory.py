"""Release of device memory after a segment has failed or was cancelled."""

from __future__ import annotations

import gc

import torch


def free_memory() -> None:
    """Collect garbage and return torch's cached memory to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
