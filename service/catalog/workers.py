"""When each worker was last seen: one that is frozen keeps its lock, but is not seen."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from service.catalog.tables import workers
from service.contracts.base import now


def seen(connection: sa.Connection, name: str) -> None:
    """This worker lives."""
    here = workers.update().where(workers.c.name == name).values(seen_at=now())
    if connection.execute(here).rowcount == 0:
        connection.execute(workers.insert().values(name=name, seen_at=now()))


def is_alive(connection: sa.Connection, name: str, lease_s: float) -> bool:
    """Whether a worker was seen within its lease."""
    last = connection.execute(sa.select(workers.c.seen_at).where(workers.c.name == name)).scalar()
    return last is not None and now() - last <= timedelta(seconds=lease_s)


def any_alive(connection: sa.Connection, prefix: str, lease_s: float) -> bool:
    """Whether a worker whose name begins so was seen within its lease."""
    last = connection.execute(sa.select(sa.func.max(workers.c.seen_at)).where(workers.c.name.startswith(prefix)))
    seen_at = last.scalar()
    return seen_at is not None and now() - seen_at <= timedelta(seconds=lease_s)


def is_missing(connection: sa.Connection, name: str, lease_s: float) -> bool:
    """Whether a worker that was seen once has not been for longer than its lease."""
    last = connection.execute(sa.select(workers.c.seen_at).where(workers.c.name == name)).scalar()
    return last is not None and now() - last > timedelta(seconds=lease_s)
