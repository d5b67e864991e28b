"""What may be given as vectors: numpy arrays, nested sequences, and tensors of torch, which is not imported here."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from service.errors import InvalidInput


class Tensor(Protocol):
    """A tensor of torch, on any device, also one that requires gradients."""

    def detach(self) -> Any: ...


Vectors = np.ndarray | Tensor
Points = Vectors | Sequence[Sequence[float]]


def array_of(points: Points, field: str) -> np.ndarray:
    """`points` as a numpy array; bfloat16, which numpy lacks, is widened to float32 exactly.

    Raises:
        InvalidInput: not rows of numbers, all of one length.
    """
    given: Any = points
    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = given.float() if str(given.dtype) == "torch.bfloat16" else given
    try:
        found = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{field} must be rows of numbers, all of one length", field=field) from error
    return check_rows(found, field)


def check_rows(found: np.ndarray, field: str) -> np.ndarray:
    """`found`, if it is a 2-D array of real numbers; raises `InvalidInput` saying what it is otherwise."""
    if found.dtype.kind not in "fiu":
        raise InvalidInput(f"{field} must be real numbers; they are {found.dtype}", field=field)
    if found.ndim != 2:
        detail = f"{field} must have two dimensions, (rows, d_model), not {found.ndim}: one vector is a row, [vector]"
        raise InvalidInput(detail, field=field)
    return found


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
