"""Memory of a process after a segment that handled much text."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pyarrow as pa


@contextmanager
def memory_returned() -> Iterator[None]:
    """Return the memory that the block has freed to the operating system when it ends.

    The C library keeps what many small objects have occupied, such as tokens: after a text of 20 MB, 1.6 GB.
    """
    try:
        yield
    finally:
        pa.default_memory_pool().release_unused()
        if (library := _c_library()) is not None:
            library.malloc_trim(0)


@cache
def _c_library() -> Any:
    """The C library, if it is one that keeps freed memory and can return it (glibc)."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
