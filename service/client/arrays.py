"""Vectors as a client sends them: as JSON, or as a `.npy` file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from service.arrays import Points, Vectors, array_of
from service.errors import InvalidInput


def rows_of(points: Points, field: str) -> list[list[float]]:
    """`points` as JSON, in float64; raises `InvalidInput` where they are not finite rows of numbers."""
    found = array_of(points, field).astype(np.float64)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise InvalidInput(f"row {row} of {field} has a NaN or an infinity", field=field)
    return found.tolist()


@contextmanager
def stream_of(source: Path | str | Vectors) -> Iterator[Any]:
    """A file, or an array or tensor as a `.npy` file, open for reading."""
    if isinstance(source, Path | str):
        with Path(source).open("rb") as stream:
            yield stream
        return
    buffer = io.BytesIO()
    np.save(buffer, array_of(source, "vectors"), allow_pickle=False)
    buffer.seek(0)
    yield buffer
