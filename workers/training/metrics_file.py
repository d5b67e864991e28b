"""The metrics of a run as a Parquet file: one column for each metric, null where it was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.artifacts.atomic import atomic_path
from service.contracts.training import MetricsRow


def write_metrics(rows: Sequence[MetricsRow], path: Path) -> Path:
    """Write one row per logged step; returns `path`."""
    import pyarrow as pa
    from pyarrow import parquet

    plain = [row.model_dump(exclude={"details"}) for row in rows]
    columns = {name: [row[name] for row in plain] for name in plain[0]}
    details = dict.fromkeys(name for row in rows for name in row.details)
    columns |= {name: [row.details.get(name) for row in rows] for name in details}
    with atomic_path(path) as temporary:
        parquet.write_table(pa.table(columns), temporary)
    return path
