"""Reads of the job engine's table of workflows, which lies beside our tables and which the engine documents."""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.tables import jobs
from service.contracts.jobs import OPEN_STATES

ENDED_BADLY = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")  # the engine's names

# The second condition on `status` lets SQLite use its partial index.
_WAITING = """SELECT 1 FROM {table} WHERE queue_name = :queue AND status = 'ENQUEUED'
    AND status IN ('ENQUEUED', 'PENDING') AND application_version = :version LIMIT 1"""
WAITING = {
    "sqlite": sa.text(_WAITING.format(table="workflow_status")),
    "postgresql": sa.text(_WAITING.format(table="dbos.workflow_status")),
}


def is_waiting(connection: sa.Connection, queue: str, version: str) -> bool:
    """Whether a workflow of that version waits on a queue: one prepared statement that reads one index."""
    waiting = WAITING[connection.dialect.name]
    return connection.execute(waiting, {"queue": queue, "version": version}).first() is not None


def ended_badly(connection: sa.Connection) -> list[tuple[str, int]]:
    """Ids and retries of the open jobs whose workflow the engine has given up."""
    table = _workflows(connection)
    return _open_jobs(connection, table, table.c.status.in_(ENDED_BADLY))


def of_other_versions(connection: sa.Connection, version: str) -> list[tuple[str, int]]:
    """Ids and retries of the open jobs whose workflow another version of the service began."""
    table = _workflows(connection)
    return _open_jobs(connection, table, table.c.application_version != version)


def _open_jobs(
    connection: sa.Connection, table: sa.TableClause, condition: sa.ColumnElement[bool]
) -> list[tuple[str, int]]:
    retried = sa.cast(jobs.c.id + "~" + sa.cast(jobs.c.retries, sa.Text), sa.Text)
    workflow = sa.case((jobs.c.retries == 0, jobs.c.id), else_=retried)  # as `service.jobs.engine.workflow_id`
    query = sa.select(jobs.c.id, jobs.c.retries).join(table, table.c.workflow_uuid == workflow)
    found = connection.execute(query.where(jobs.c.state.in_(OPEN_STATES), condition).order_by(jobs.c.id))
    return [(row.id, row.retries) for row in found]


def _workflows(connection: sa.Connection) -> sa.TableClause:
    columns = [sa.column(name, sa.Text) for name in ("workflow_uuid", "status", "application_version")]
    schema = "dbos" if connection.dialect.name == "postgresql" else None
    return sa.table("workflow_status", *columns, schema=schema)
