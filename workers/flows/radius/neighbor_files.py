"""The neighbours behind a report as files for other programs, in the order of the set's rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from service.artifacts.atomic import atomic_path
from service.artifacts.report import NEIGHBORS
from workers.neighbors.answers import Neighbors

Array = np.ndarray
_ENTRIES = 2**22  # of a row group: what is held beside the lists


def write_neighbor_files(folder: Path, found: Neighbors) -> list[Path]:
    """Write `neighbors.npz` and `neighbors.parquet`; returns their paths.

    The former has `rows` (m,), `distances` (m, k) and `ids` (m, k), −1 and inf where a row has fewer neighbours; the
    latter a line for each neighbour that there is: row, rank from 1, neighbor, distance.
    """
    order = np.argsort(found.rows)
    npz, table = (folder / f"{NEIGHBORS}.{ending}" for ending in ("npz", "parquet"))
    with atomic_path(npz) as temporary, temporary.open("wb") as file:
        np.savez(file, rows=found.rows[order], distances=found.distances[order], ids=found.ids[order])
    _write_table(table, found, order)
    return [npz, table]


def _write_table(path: Path, found: Neighbors, order: Array) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = [("row", pa.int64()), ("rank", pa.int32()), ("neighbor", pa.int64()), ("distance", pa.float64())]
    schema = pa.schema(columns)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for block in _blocks(order, found.distances.shape[1]):
            ids, distances = found.ids[block], found.distances[block]
            at, column = np.nonzero(ids >= 0)
            cells = (found.rows[block][at], (column + 1).astype(np.int32), ids[at, column], distances[at, column])
            writer.write_table(pa.table(list(cells), schema=schema))


def _blocks(order: Array, k: int) -> Iterator[Array]:
    step = max(1, _ENTRIES // k)
    return (order[start : start + step] for start in range(0, len(order), step))
