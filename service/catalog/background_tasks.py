"""Work that belongs to no job (counting a corpus, measuring a device): who is at it, and how often that was fatal.

It needs no fencing, as whoever ends it last records the same. But it may kill its workers, as a segment may.
"""

from __future__ import annotations

import sqlalchemy as sa

from service.catalog.segments import MOST_DEATHS
from service.catalog.tables import background_tasks
from service.errors import PoisonSegment


def begin(connection: sa.Connection, *, name: str, worker: str) -> None:
    """Note that a worker is at it.

    Raises:
        PoisonSegment: three in a row died of it; forgotten with that, so that it may be asked for anew.
    """
    row = (
        connection.execute(sa.select(background_tasks).where(background_tasks.c.id == name).with_for_update())
        .mappings()
        .first()
    )
    if row is None:
        connection.execute(background_tasks.insert().values(id=name, worker=worker, running=True, deaths=0))
        return
    deaths = row["deaths"] + row["running"]  # the one before neither ended nor let go
    if deaths >= MOST_DEATHS:
        end(connection, name=name)
        connection.commit()
        raise PoisonSegment(f"{name} killed its worker {deaths} times")
    values = {"worker": worker, "running": True, "deaths": deaths}
    connection.execute(background_tasks.update().where(background_tasks.c.id == name).values(values))


def end(connection: sa.Connection, *, name: str) -> None:
    """It has ended, well or with an error that was told."""
    connection.execute(background_tasks.delete().where(background_tasks.c.id == name))


def release(connection: sa.Connection, worker: str) -> None:
    """A worker that is stopped was not killed by what it is at."""
    connection.execute(background_tasks.update().where(background_tasks.c.worker == worker).values(running=False))
