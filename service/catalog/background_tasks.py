"""Tasks that belong to no job, such as counting a corpus: which worker runs each, and how many workers died of it.

They need no fencing, as every run of one records the same. Like a segment, a task may kill its worker.
"""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.rows import insert_once
from service.catalog.segments import MOST_DEATHS
from service.catalog.tables import background_tasks
from service.errors import PoisonSegment


def begin(connection: sa.Connection, *, name: str, worker: str) -> None:
    """Record that a worker runs a task.

    Raises:
        PoisonSegment: the task killed three workers in a row; its row is deleted, so that it may be started anew.
    """
    if insert_once(connection, background_tasks, {"id": name, "worker": worker, "running": True, "deaths": 0}):
        return
    here = background_tasks.c.id == name
    row = connection.execute(sa.select(background_tasks).where(here).with_for_update()).mappings().first()
    deaths = row["deaths"] + row["running"] if row else 0  # the worker before neither ended the task nor released it
    if deaths >= MOST_DEATHS:
        end(connection, name=name)
        connection.commit()
        raise PoisonSegment(f"{name} killed its worker {deaths} times")
    values = {"worker": worker, "running": True, "deaths": deaths}
    connection.execute(background_tasks.update().where(here).values(values))


def end(connection: sa.Connection, *, name: str) -> None:
    """Record that a task has ended, well or with an error that was recorded."""
    connection.execute(background_tasks.delete().where(background_tasks.c.id == name))


def release(connection: sa.Connection, worker: str) -> None:
    """Release the tasks of a worker that is being stopped, so that the stop does not count as a death."""
    connection.execute(background_tasks.update().where(background_tasks.c.worker == worker).values(running=False))
