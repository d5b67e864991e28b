"""Inputs accepted as vectors: numpy arrays, nested sequences, and tensors of torch, which is not imported here."""

from __future__ import annotations

from collections.abc import Sequence
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


def float_rows(points: Points, field: str) -> np.ndarray:
    """`points` as contiguous rows of float16, float32 or float64; integers and longer numbers become float64.

    Raises:
        InvalidInput: not rows of numbers, or rows without a number.
    """
    found = array_of(points, field)
    if not found.shape[1]:
        raise InvalidInput(f"the rows of {field} are empty", field=field)
    kind = found.dtype.newbyteorder("=") if found.dtype.kind == "f" and found.dtype.itemsize <= 8 else np.dtype(float)
    return np.ascontiguousarray(found, dtype=kind)
