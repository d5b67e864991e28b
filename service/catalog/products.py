"""The products of all kinds: which there are, and those of a job that is deleted."""

from __future__ import annotations

import re

import sqlalchemy as sa

from service.artifacts.manifest import MANIFEST
from service.artifacts.views import view_name
from service.catalog import inputs, reuse
from service.catalog.tables import (
    activations,
    energy_reports,
    profiles,
    radius_reports,
    reproductions,
    sweeps,
    training_runs,
)
from service.errors import Conflict

BY_PREFIX = {
    "act": activations,
    "radius": radius_reports,
    "energy": energy_reports,
    "profile": profiles,
    "reproduction": reproductions,
    "run": training_runs,
    "sweep": sweeps,
}
_TABLES = tuple(BY_PREFIX.values())
_ID = re.compile(rf"({'|'.join(BY_PREFIX)})-[0-9a-f]{{26,}}")


def is_id(name: str) -> bool:
    """Whether a name has the form of a product's id."""
    return _ID.fullmatch(name) is not None


def grows(product: str) -> bool:
    """Whether files are written to the product's folder after it is published: further views of it."""
    return "view_step" in BY_PREFIX[product.partition("-")[0]].c


def delete(connection: sa.Connection, job_id: str) -> None:
    """Delete the rows of a job's products; sets of other jobs that it only used stay.

    Raises:
        Conflict: another job has one of its activation sets among its results, has a report of one, or is open and its
            spec names one of its sets or models.
    """
    _lock(connection, job_id)
    inputs.record_all_missing(connection)
    mine = sa.union_all(*(sa.select(table.c.id).where(table.c.job == job_id) for table in (activations, training_runs)))
    products = sa.select(mine.subquery().c.id)
    if reuse.in_use(connection, job_id, products) or inputs.are_read(connection, job_id, products):
        raise Conflict("other jobs use this job's activation sets or models; delete those jobs first")
    for table in _TABLES:
        connection.execute(table.delete().where(table.c.job == job_id))


def _lock(connection: sa.Connection, job_id: str) -> None:
    """Lock a job's sets and runs: a submission that names one has finished, or will not find it."""
    for table in (activations, training_runs):
        mine = sa.select(table.c.id).where(table.c.job == job_id).order_by(table.c.id)
        connection.execute(mine.with_for_update())


def ids(connection: sa.Connection) -> set[str]:
    """Ids of all published products."""
    return {name for table in _TABLES for name in connection.execute(sa.select(table.c.id)).scalars()}


def recorded_files(connection: sa.Connection) -> dict[str, str]:
    """SHA-256 of the files that rows name, by their paths below the folder of products; manifests name others."""
    found: dict[str, str] = {}
    for table in _TABLES:
        if "sha256" in table.c:
            rows = connection.execute(sa.select(table.c.id, table.c.sha256))
            found |= {f"{row.id}/{MANIFEST}": row.sha256 for row in rows}
        if "view_step" in table.c:
            rows = connection.execute(sa.select(table.c.id, table.c.view_step, table.c.view_sha256))
            found |= {f"{row[0]}/{view_name(row[1])}/{MANIFEST}": row[2] for row in rows if row[1] is not None}
    states = sa.select(training_runs.c.id, training_runs.c.state_file, training_runs.c.state_sha256)
    found |= {f"{row[0]}/{row[1]}": row[2] for row in connection.execute(states) if row[1] is not None}
    return found
