"""The products of all kinds: which there are, and those of a job that is deleted."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog import reuse
from service.catalog.tables import activations, energy_reports, radius_reports, sweeps, training_runs
from service.errors import Conflict

_TABLES = (radius_reports, energy_reports, activations, training_runs, sweeps)


def delete(connection: sa.Connection, job_id: str) -> None:
    """Remove the rows of what a job made; sets of other jobs that it only used stay.

    Raises:
        Conflict: another job uses one of its activation sets, or a report of another job is of one.
    """
    mine = sa.select(activations.c.id).where(activations.c.job == job_id).with_for_update()
    sets = list(connection.execute(mine).scalars())  # locked: a job that is about to use one finds it, or finds it gone
    if reuse.in_use(connection, job_id, sets) or not _measured_by_others(connection, job_id).isdisjoint(sets):
        raise Conflict("other jobs use this job's activation sets; delete those jobs first")
    for table in _TABLES:
        connection.execute(table.delete().where(table.c.job == job_id))


def ids(connection: sa.Connection) -> set[str]:
    """Of everything that is published."""
    return {name for table in _TABLES for name in connection.execute(sa.select(table.c.id)).scalars()}


def _measured_by_others(connection: sa.Connection, job_id: str) -> set[str]:
    """The sets that reports of other jobs are of."""
    others = sa.select(radius_reports.c.activations).where(radius_reports.c.job != job_id)
    used = set(connection.execute(others).scalars())
    for row in connection.execute(sa.select(energy_reports).where(energy_reports.c.job != job_id)).mappings():
        used |= {*row["activations"], row["queries"]}
    return used
