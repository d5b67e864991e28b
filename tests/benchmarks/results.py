"""Where figures are kept: one folder for each kind of machine, because number formats alone change ratios threefold."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import faiss
import torch

RESULTS = Path(__file__).parent / "results"


def kind_of_machine() -> str:
    """The vector instructions of the processor, as torch finds them: "avx2", "avx512", "avx512-bf16", ..."""
    kind = torch.backends.cpu.get_cpu_capability().lower()
    return f"{kind}-bf16" if torch.cpu._is_avx512_bf16_supported() else kind


def about() -> dict[str, object]:
    """Machine, date and versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.processor() or platform.machine(),
        "kind": kind_of_machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "faiss": faiss.__version__,
    }


def path_of(name: str) -> Path:
    """The file of a benchmark's figures on this kind of machine."""
    return RESULTS / kind_of_machine() / f"{name}.json"


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Write the figures of a benchmark, with machine, date and versions."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**figures, "about": about()}, indent=2, ensure_ascii=False) + "\n")
