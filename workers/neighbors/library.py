"""The engine as a function of arrays, for use without a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.arrays import Points, float_rows
from service.errors import InvalidInput
from workers.devices.device import choose_device, set_precise_float32
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows

Array = np.ndarray
MOST_NEIGHBORS = 64


def nearest_neighbors(
    x: Points,
    k: int = 1,
    *,
    queries: Points | None = None,
    groups: Sequence[Any] | Array | None = None,
    device: str = "auto",
) -> tuple[Array, Array]:
    """The k nearest rows of every row, with exact Euclidean distances, in the order of the rows.

    A row is not its own neighbour; equal rows are neighbours at distance 0. Every neighbour is certified: a rounding
    bound excludes all other rows, or they were measured in float64. Equal distances are ordered by the smaller index.

    >>> import numpy as np
    >>> from workers.neighbors import nearest_neighbors
    >>> distances, indices = nearest_neighbors(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    >>> distances[:, 0].round(4).tolist(), indices[:, 0].tolist()
    ([1.0, 4.2426, 1.0], [2, 2, 0])

    Args:
        x: (n, d) rows, a numpy array, nested sequences, or a torch tensor on any device. float16, bfloat16, float32
            and float64 are measured as given; integers as float64.
        k: neighbours of each row, 1 to 64.
        queries: (m, d) points whose neighbours among `x` are wanted; None: the rows of `x` themselves, each without
            itself.
        groups: (n,) a label for each row, such as its document; rows of one label are not compared.
        device: `auto`, `cpu` or `cuda:N`. On a GPU the precision settings of torch are set to exact float32.

    Returns:
        distances: (n, k) float64, or (m, k); nearest first, inf where fewer than k rows may be compared.
        indices: (n, k) int64 rows of `x`, or (m, k); −1 there.

    Raises:
        InvalidInput: not rows of numbers, k or a length is wrong, or distances underflow a double.
        NonFiniteData: naming a row with a NaN or an infinity, or whose distances overflow a double.
        OutOfMemory: the device does not hold the smallest tile.
    """
    if not 1 <= k <= MOST_NEIGHBORS:
        raise InvalidInput(f"k must be from 1 to {MOST_NEIGHBORS}", field="k")
    if queries is not None and groups is not None:
        raise InvalidInput("groups are of rows that are compared among themselves; leave them out", field="groups")
    rows = StoredRows(float_rows(x, "x"))
    points = None if queries is None else StoredRows(float_rows(queries, "queries"))
    if points is not None and points.d != rows.d:
        raise InvalidInput(f"queries have {points.d} dimensions, x {rows.d}", field="queries")
    chosen = choose_device(device)
    if chosen.type == "cuda":
        set_precise_float32()
    question = Question(rows, np.arange(len(rows)), [len(rows)], k, _codes(groups, len(rows)), points)
    (found,), _ = exact_neighbors(question, SearchOptions(device=chosen))
    return found.distances, found.ids


def _codes(groups: Sequence[Any] | Array | None, n: int) -> Array | None:
    """(n,) int64, equal where the labels are."""
    if groups is None:
        return None
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise InvalidInput(f"groups must have one label for each of the {n} rows", field="groups")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
