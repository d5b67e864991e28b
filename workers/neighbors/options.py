"""Options of a search: device, number format of the filter, tile size, memory. The answer does not depend on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class SearchOptions:
    """Choices that change the speed and the memory of a search, never its answer.

    Attributes:
        format: number format of the filter; None measures which one is fastest on this device.
        tile: slots on a side of a tile, a multiple of 64; 0 for the device's default.
        resident: keep the encoded rows in memory: half of the size of float32 rows in a 16-bit format. Otherwise they
            are encoded again for every panel of queries, and memory does not grow with d.
        fused: list the pairs of a strip by a Triton kernel; None: on a GPU where it passes its self-test.
        strips: search by strips of tiles, as GPUs do; None: on a GPU.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    format: torch.dtype | None = None
    tile: int = 0
    resident: bool = True
    fused: bool | None = None
    strips: bool | None = None
