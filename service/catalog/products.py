"""The products of all kinds: which there are, and those of a job that is deleted."""

from __future__ import annotations

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

_TABLES = (radius_reports, energy_reports, profiles, reproductions, activations, training_runs, sweeps)


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
    for table in (radius_reports, energy_reports, profiles, activations):
        rows = connection.execute(sa.select(table.c.id, table.c.sha256))
        found |= {f"{row.id}/{MANIFEST}": row.sha256 for row in rows}
    for table in (training_runs, sweeps):
        rows = connection.execute(sa.select(table.c.id, table.c.view_step, table.c.view_sha256))
        found |= {f"{row[0]}/{view_name(row[1])}/{MANIFEST}": row[2] for row in rows if row[1] is not None}
    states = sa.select(training_runs.c.id, training_runs.c.state_file, training_runs.c.state_sha256)
    found |= {f"{row[0]}/{row[1]}": row[2] for row in connection.execute(states) if row[1] is not None}
    return found
