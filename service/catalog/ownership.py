"""The rows that a connection may use: those of one project, or those of all for the service's own processes.

A request works with a catalog of its project (`Catalog.of`). Every statement on a connection of such a catalog gets
the condition that its rows are of the project, whichever function wrote it, so none can omit it. A statement whose
subqueries name owned tables cannot be restricted so: it is refused, unless it has the option `OF_ALL`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.sql import visitors

from service.catalog.rows import Row
from service.catalog.tables import (
    SHARED,
    activations,
    corpora,
    events,
    job_results,
    jobs,
    metadata,
    training_checkpoints,
    training_metrics,
    training_runs,
)
from service.errors import NotFound

_OPTION = "project"
OF_ALL = {"of_all_projects": True}  # execution options of a statement that needs the rows of all projects
_OWNED = {table for table in metadata.sorted_tables if "project" in table.c}
# Rows that belong to a row of another table, which a client may name.
_PARTS = {
    events: (events.c.job, jobs),
    training_metrics: (training_metrics.c.run, training_runs),
    training_checkpoints: (training_checkpoints.c.run, training_runs),
}
_Filtered = sa.Select[Any] | sa.Update | sa.Delete


def options_of(project: str) -> dict[str, Any]:
    """The execution options of connections that may use the rows of `project` only."""
    return {_OPTION: project}


def project_of(connection: sa.Connection) -> str | None:
    """The project whose rows a connection may use; None for all."""
    return connection.get_execution_options().get(_OPTION)


def restrict_to_job(connection: sa.Connection, job_id: str) -> None:
    """Let `connection` use only rows of the project that a job belongs to: the names in its spec are of that project.

    Raises:
        NotFound: no such job.
    """
    connection.execution_options(**options_of(project_of_job(connection, job_id)))


def project_of_job(connection: sa.Connection, job_id: str) -> str:
    """The project that a job belongs to; raises `NotFound`."""
    project = connection.execute(sa.select(jobs.c.project).where(jobs.c.id == job_id)).scalar()
    if project is None:
        raise NotFound("no such job")
    return project


def with_owner(row: Row) -> Row:
    """`row` of a product, in the project of its job; a product without a job is in the connection's project."""
    if row.get("job") is None:
        return row
    return row | {"project": sa.select(jobs.c.project).where(jobs.c.id == row["job"]).scalar_subquery()}


def install(engine: sa.Engine) -> None:
    """Restrict the statements of connections that have a project."""
    event.listen(engine, "before_execute", _restrict, retval=True)


def _restrict(
    _connection: sa.Connection, statement: Any, several: Any, parameters: Any, options: Any
) -> tuple[Any, Any, Any]:
    project = options.get(_OPTION)
    if project is not None and not options.keys() & OF_ALL.keys():
        if isinstance(statement, sa.Insert):
            if statement.table in _OWNED:
                statement = statement.values(project=project)
        elif isinstance(statement, sa.Select | sa.Update | sa.Delete | sa.CompoundSelect):
            statement = _of_project(statement, project)
    return statement, several, parameters


def _of_project(statement: _Filtered | sa.CompoundSelect[Any], project: str) -> Any:
    parts = list(visitors.iterate(statement))
    inner = [part for part in parts if isinstance(part, sa.SelectBase) and part is not statement]
    if isinstance(statement, sa.CompoundSelect) or any(_owned_in(list(visitors.iterate(part))) for part in inner):
        raise AssertionError("rows of a project are read by statements without subqueries of owned tables")
    is_read = isinstance(statement, sa.Select)
    for table in _owned_in([*parts, getattr(statement, "table", None)]):
        statement = statement.where(_readable(table, project) if is_read else _is_own(table, project))
    return statement


def _owned_in(parts: list[Any]) -> list[sa.Table]:
    """The tables with an owner whose rows decide what a statement reads or changes, in a fixed order.

    The right side of an outer join decides nothing: it only adds columns to rows of the left side.
    """
    named = {part.table if isinstance(part, sa.Column) else part for part in parts}
    joined = {part.right for part in parts if isinstance(part, sa.Join) and part.isouter}
    if joined & _OWNED:
        raise AssertionError("an owned table is not the right side of an outer join")
    found = (named & (_OWNED | _PARTS.keys())) - joined
    return sorted(found, key=lambda table: table.name)


def _is_own(table: sa.Table, project: str) -> sa.ColumnElement[bool]:
    if table in _OWNED:
        return table.c.project == project
    owner, parents = _PARTS[table]
    return sa.exists().where(parents.c.id == owner, parents.c.project == project)


def _readable(table: sa.Table, project: str) -> sa.ColumnElement[bool]:
    """Own rows; the built-in corpora; sets of theirs that a job of another project made and one of this uses."""
    if table is corpora:
        return corpora.c.project.in_((project, SHARED))
    if table is activations:
        used = sa.select(sa.literal(1)).select_from(job_results.join(jobs, jobs.c.id == job_results.c.job))
        used = used.where(job_results.c.product == activations.c.id, jobs.c.project == project)
        return _is_own(activations, project) | used.exists()
    return _is_own(table, project)
