"""When each worker was last seen: a frozen worker keeps its lock but is no longer seen."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.rows import put
from service.catalog.tables import workers
from service.contracts.estimates import Device


def seen(connection: sa.Connection, name: str) -> None:
    """Record that this worker is alive now."""
    put(connection, workers, {"name": name, "seen_at": moment(connection)})


def introduce(connection: sa.Connection, name: str, device: Device) -> None:
    """Record that this worker is alive now and computes on that device."""
    seen(connection, name)
    connection.execute(workers.update().where(workers.c.name == name).values(device=device.model_dump(mode="json")))


def devices(connection: sa.Connection, prefix: str, lease_s: float) -> list[Device]:
    """Devices of the workers whose name begins with `prefix` and that were seen within the lease."""
    query = sa.select(workers.c.device).where(_recent(connection, prefix, lease_s), workers.c.device.is_not(None))
    return [Device(**found) for found in connection.execute(query.order_by(workers.c.name)).scalars() if found]


def is_alive(connection: sa.Connection, name: str, lease_s: float) -> bool:
    """Whether a worker was seen within the lease."""
    age = _age(connection, workers.c.name == name)
    return age is not None and age <= timedelta(seconds=lease_s)


def any_alive(connection: sa.Connection, prefix: str, lease_s: float) -> bool:
    """Whether a worker whose name begins with `prefix` was seen within the lease."""
    age = _age(connection, workers.c.name.startswith(prefix))
    return age is not None and age <= timedelta(seconds=lease_s)


def count_alive(connection: sa.Connection, prefix: str, lease_s: float) -> int:
    """Number of workers whose name begins with `prefix` and that were seen within the lease."""
    return connection.execute(sa.select(sa.func.count()).where(_recent(connection, prefix, lease_s))).scalar_one()


def is_missing(connection: sa.Connection, name: str, lease_s: float) -> bool:
    """Whether a worker was last seen longer ago than the lease; False for one that was never seen."""
    age = _age(connection, workers.c.name == name)
    return age is not None and age > timedelta(seconds=lease_s)


def _recent(connection: sa.Connection, prefix: str, lease_s: float) -> sa.ColumnElement[bool]:
    return workers.c.name.startswith(prefix) & (workers.c.seen_at >= moment(connection) - timedelta(seconds=lease_s))


def _age(connection: sa.Connection, which: sa.ColumnElement[bool]) -> timedelta | None:
    """Time since any of these workers was last seen; None if none ever was."""
    last = connection.execute(sa.select(sa.func.max(workers.c.seen_at)).where(which)).scalar()
    return None if last is None else moment(connection) - last
