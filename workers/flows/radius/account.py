"""The account of a search, as the provenance of its report has it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from workers.devices.device import describe_device
from workers.neighbors.faiss_search import FaissWork
from workers.neighbors.self_test import kernel_state
from workers.neighbors.task import SearchWork


@dataclass(frozen=True)
class PartsAccount:
    """A search in parts (the field names are JSON keys of stored reports).

    Attributes:
        search, count: numbers of the parts of the search and of the counts.
        settle: number of the ranges of queries that were settled separately.
        format, device, worker: all that searched parts.
    """

    search: int
    count: int
    settle: int
    format: list[str]
    device: list[str]
    worker: list[str]


@dataclass(frozen=True)
class SearchAccount:
    """The account of a search, for the provenance of its report.

    Attributes:
        work: the engine's account of its work.
        engine_asked: the spec's engine.
        resident: whether the encoded rows were to stay in memory.
        device: on which it searched; of a search in parts, its first part.
        kernel: why the GPU's kernel was not used; empty for a CPU, and where it was.
        parts: of a search in parts.
    """

    work: SearchWork | FaissWork
    engine_asked: str
    resident: bool
    device: torch.device
    kernel: str = ""
    parts: PartsAccount | None = None

    def as_stored(self) -> dict[str, Any]:
        """The account as a report holds it; `kernel` only where there is a reason, or parts."""
        stored = asdict(self.work) | {"engine_asked": self.engine_asked, "resident": self.resident}
        stored |= {"on": describe_device(self.device)}
        if self.parts is not None:
            return stored | {"kernel": self.kernel, "parts": asdict(self.parts)}
        return stored | ({"kernel": self.kernel} if self.kernel else {})


def kernel_reason(device: torch.device, dtype: torch.dtype) -> str:
    """Why the GPU's kernel was not used; empty for a CPU, and where it was."""
    if device.type != "cuda" or dtype == torch.float32:
        return ""
    state = kernel_state(device, dtype)
    return "" if state.fused else state.reason
