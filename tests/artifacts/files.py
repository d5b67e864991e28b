"""Files of vectors as bytes, sound and unsound."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
from safetensors.numpy import save

Array = np.ndarray
SAFETENSORS_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64"}


def normal(n: int = 40, d: int = 6, dtype: str = "float32") -> Array:
    return np.random.default_rng(0).normal(size=(n, d)).astype(dtype)


def npy(array: Array, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def npz(**arrays: Array) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


def npy_declaring(header: str | dict[str, Any], data: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """A `.npy` of that header, whatever it says, and that data."""
    written = header if isinstance(header, str) else repr(header) + "\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(written))
    return b"\x93NUMPY" + bytes(version) + length + written.encode("latin1") + data


def npy_shaped(shape: Any, data: bytes, descr: Any = "<f4") -> bytes:
    return npy_declaring({"descr": descr, "fortran_order": False, "shape": shape}, data)


def tensors(**arrays: Array) -> bytes:
    return save(arrays)


def tensors_declaring(header: Any, data: bytes) -> bytes:
    """A `.safetensors` of that header, whatever it says, and that data."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data


def one_tensor(shape: list[Any], data: bytes, dtype: str = "F32", **more: Any) -> bytes:
    return tensors_declaring({"vectors": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]} | more}, data)
