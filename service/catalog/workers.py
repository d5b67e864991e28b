"""Heartbeats of workers, with their reports: a frozen worker keeps its lock but sends no heartbeat."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from service.catalog.clock import moment
from service.catalog.rows import put
from service.catalog.tables import segments, workers
from service.contracts.base import WorkerRole
from service.contracts.estimates import Device
from service.contracts.workers import NEEDED_ROLES, Activity, Worker, WorkerReport

_LISTED_S = 86_400.0  # a lost worker is no longer listed afterwards


def seen(connection: sa.Connection, name: str, report: WorkerReport | None = None) -> None:
    """Record that this worker is alive now."""
    reported = {} if report is None else {"report": report.model_dump(mode="json")}
    put(connection, workers, {"name": name, "seen_at": moment(connection), **reported})


def record_device(connection: sa.Connection, name: str, device: Device) -> None:
    """Record that this worker is alive now and computes on that device."""
    seen(connection, name)
    connection.execute(workers.update().where(workers.c.name == name).values(device=device.model_dump(mode="json")))


def remove(connection: sa.Connection, name: str) -> None:
    """Remove the row of a worker that stops in order: it is neither alive nor lost."""
    connection.execute(workers.delete().where(workers.c.name == name))


def listed(connection: sa.Connection, lease_s: float) -> list[Worker]:
    """The workers that were seen within a day, by name, each with the segment that it runs."""
    at = moment(connection)
    running = {
        row.worker: Activity(job=row.job, segment=row.name, stage=row.stage, since=row.started_at)
        for row in connection.execute(sa.select(segments).where(segments.c.running))
    }
    recent = sa.select(workers).where(workers.c.seen_at >= at - timedelta(seconds=_LISTED_S)).order_by(workers.c.name)
    found = []
    for row in connection.execute(recent):
        age_s = max(0.0, (at - row.seen_at).total_seconds())
        found.append(
            Worker(
                name=row.name,
                role=row.name.partition("-")[0],
                state="alive" if age_s <= lease_s else "lost",
                seen_at=row.seen_at,
                seen_s=age_s,
                device=row.device and Device(**row.device),
                now=running.get(row.name),
                report=row.report and WorkerReport(**row.report),
            )
        )
    return found


def missing_roles(connection: sa.Connection, lease_s: float) -> list[WorkerRole]:
    """The roles that every service needs and of which no worker was seen within the lease."""
    names = connection.execute(sa.select(workers.c.name).where(_within(connection, lease_s))).scalars()
    alive = {name.partition("-")[0] for name in names}
    return [role for role in NEEDED_ROLES if role not in alive]


def on_gpus(found: list[Device]) -> bool:
    """Whether there are devices, and all of them are GPUs."""
    return bool(found) and all(device.device.startswith("cuda") for device in found)


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
    return workers.c.name.startswith(prefix) & _within(connection, lease_s)


def _within(connection: sa.Connection, lease_s: float) -> sa.ColumnElement[bool]:
    return workers.c.seen_at >= moment(connection) - timedelta(seconds=lease_s)


def _age(connection: sa.Connection, which: sa.ColumnElement[bool]) -> timedelta | None:
    """Time since any of these workers was last seen; None if none ever was."""
    last = connection.execute(sa.select(sa.func.max(workers.c.seen_at)).where(which)).scalar()
    return None if last is None else moment(connection) - last
