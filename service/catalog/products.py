"""The products of a job that is deleted."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.tables import activations, energy_reports, radius_reports, sweeps, training_runs
from service.errors import Conflict


def delete(connection: sa.Connection, job_id: str, products: list[str]) -> None:
    """Remove the rows of a job's products.

    Raises:
        Conflict: a report of another job is of one of its activation sets.
    """
    others = sa.select(radius_reports.c.activations).where(radius_reports.c.job != job_id)
    used = set(connection.execute(others).scalars())
    for row in connection.execute(sa.select(energy_reports).where(energy_reports.c.job != job_id)).mappings():
        used |= {*row["activations"], row["queries"]}
    if used & set(products):
        raise Conflict("reports of other jobs are of this job's activation sets; delete those jobs first")
    for table in (radius_reports, energy_reports, activations, training_runs, sweeps):
        connection.execute(table.delete().where(table.c.id.in_(products)))
