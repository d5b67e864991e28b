"""Lists of strings as two arrays, so that a safetensors file can hold text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def pack_strings(texts: Sequence[str]) -> tuple[Array, Array]:
    """`(utf8, ends)`: all texts as uint8 bytes one after another, and the int64 end of each."""
    encoded = [text.encode() for text in texts]
    utf8 = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return utf8, np.cumsum([len(text) for text in encoded], dtype=np.int64)


def unpack_string(utf8: Array, ends: Array, index: int) -> str:
    """The string at `index` of a packed list."""
    start = int(ends[index - 1]) if index else 0
    return utf8[start : int(ends[index])].tobytes().decode()
