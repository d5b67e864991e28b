"""The products of all kinds: which there are, and those of a job that is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from service.catalog import reuse
from service.catalog.tables import activations, energy_reports, jobs, radius_reports, sweeps, training_runs
from service.contracts.jobs import FINAL_STATES
from service.contracts.run_models import parse_run_model
from service.errors import Conflict, InvalidInput

_TABLES = (radius_reports, energy_reports, activations, training_runs, sweeps)


def delete(connection: sa.Connection, job_id: str) -> None:
    """Remove the rows of what a job made; sets of other jobs that it only used stay.

    Raises:
        Conflict: another job uses one of its activation sets or models, a report of another job is of one, or one that
            has not ended names one.
    """
    sets, runs = (_locked(connection, table, job_id) for table in (activations, training_runs))
    used = _measured_by_others(connection, job_id) | _named_by_others(connection, job_id)
    if reuse.in_use(connection, job_id, sets) or not used.isdisjoint([*sets, *runs]):
        raise Conflict("other jobs use this job's activation sets or models; delete those jobs first")
    for table in _TABLES:
        connection.execute(table.delete().where(table.c.job == job_id))


def _locked(connection: sa.Connection, table: sa.Table, job_id: str) -> list[str]:
    """A job's products of one kind; a job that is about to use one finds it, or finds it gone."""
    mine = sa.select(table.c.id).where(table.c.job == job_id).order_by(table.c.id)
    return list(connection.execute(mine.with_for_update()).scalars())


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


def _named_by_others(connection: sa.Connection, job_id: str) -> set[str]:
    """The sets and runs that the specs of other jobs name which have not ended."""
    others = sa.select(jobs.c.spec).where(jobs.c.id != job_id, jobs.c.state.not_in(FINAL_STATES))
    return {name for spec in connection.execute(others).scalars() for name in _names(spec)}


def _names(spec: Any) -> Iterator[str]:
    """Every text in a spec; of the name of a kept model, the run."""
    if isinstance(spec, str):
        yield _run_of(spec) or spec
    elif isinstance(spec, dict | list):
        for part in spec.values() if isinstance(spec, dict) else spec:
            yield from _names(part)


def _run_of(name: str) -> str | None:
    try:
        model = parse_run_model(name)
    except InvalidInput:
        return None
    return None if model is None else model.run
