"""Many rows at once, written past the product's own functions: jobs, segments, sets and reports by their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from service.catalog.engine import Catalog
from service.catalog.tables import activations, energy_reports, jobs, segments, training_runs

AT = datetime(2026, 1, 2, tzinfo=UTC)
_AT_ONCE = 20_000


def job(number: int) -> str:
    return f"job-{number:026x}"


def vectors(number: int) -> str:
    """The id of a job's activation set."""
    return f"act-{number:026x}00"


def add_jobs(catalog: Catalog, numbers: Iterable[int], **values: Any) -> None:
    fixed = {"kind": "energy", "state": "queued", "spec": {}, "priority": 50, "labels": {}, "warnings": []}
    fixed |= {"unit": "rows", "created_at": AT, **values}
    _insert(catalog, jobs, [{"id": job(number), **fixed} for number in numbers])


def add_segments(catalog: Catalog, number: int, count: int) -> None:
    """`count` segments of a job, one piece of work each, the newest of them of the stage "publish"."""
    fixed = {"job": job(number), "done": 1, "worker": "compute-a", "attempt": 1, "started_at": AT}
    names = [("extract", f"extract-{at:05d}") for at in range(count - 1)] + [("publish", "publish-00")]
    rows = [
        {**fixed, "stage": stage, "name": name, "updated_at": AT + timedelta(seconds=at + 1)}
        for at, (stage, name) in enumerate(names)
    ]
    _insert(catalog, segments, rows)


def add_sets(catalog: Catalog, numbers: Iterable[int]) -> None:
    fixed = {"name": "a set", "n": 3, "d_model": 2, "dtype": "float32", "sha256": "0", "statistics": {}}
    rows = [{**fixed, "id": vectors(number), "job": job(number), "created_at": AT} for number in numbers]
    _insert(catalog, activations, rows)


def add_energy_reports(catalog: Catalog, numbers: Iterable[int]) -> None:
    """A report of each job's own set."""
    fixed = {"name": "a report", "d_model": 2, "points": 3, "sha256": "0", "created_at": AT}
    rows = [
        {**fixed, "id": f"energy-{number:026x}00", "job": job(number), "activations": [vectors(number)]}
        for number in numbers
    ]
    _insert(catalog, energy_reports, rows)


def run(number: int) -> str:
    """The id of a job's training run."""
    return f"run-{number:026x}00"


def add_runs(catalog: Catalog, numbers: Iterable[int]) -> None:
    empty = ("spec", "parameters", "reference_lines", "data", "losses", "evaluation", "warnings", "notes", "timing")
    fixed = {"name": "a run", "experiment": "openelm", "step": 0, "steps": 1, "tokens": 0, "created_at": AT}
    fixed |= {name: {} for name in (*empty, "provenance")}
    _insert(catalog, training_runs, [{**fixed, "id": run(number), "job": job(number)} for number in numbers])


def analyze(catalog: Catalog) -> None:
    """Collect statistics, as PostgreSQL does by itself some time after such inserts."""
    with catalog.read() as connection:
        connection.execute(sa.text("ANALYZE"))


def _insert(catalog: Catalog, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    with catalog.begin() as connection:
        for start in range(0, len(rows), _AT_ONCE):
            connection.execute(table.insert(), rows[start : start + _AT_ONCE])
