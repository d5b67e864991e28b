"""The tensors of a safetensors file where they lie on disk: only the pages that are used are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

Array = np.ndarray
_DTYPES = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
    "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip


def map_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a file that was checked, memory-mapped and read-only.

    The file has 8 bytes of header length, the header as JSON, then the data at the offsets that the header names.
    """
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
    header = json.loads(mapped[8:start].tobytes())
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        data = mapped[start + first : start + last]
        found[name] = data.view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return found
