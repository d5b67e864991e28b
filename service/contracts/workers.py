"""Worker processes: what each reports of itself with its heartbeat, and how the service lists them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.contracts.base import Contract, Identifier, WorkerRole
from service.contracts.estimates import Device

# Compute workers train where no trainer is alive.
NEEDED_ROLES: tuple[WorkerRole, ...] = ("control", "compute", "query")


class WorkerReport(Contract):
    """A worker's report in each heartbeat; null: the device reports none, or is a CPU."""

    versions: dict[str, str] = Field(description="radius, jobs (of the workflows), python, torch")
    started_at: datetime
    segments: dict[str, int] = Field(description="segments since the start of the process: done, failed, stopped")
    resident_bytes: int | None = Field(description="main memory of the process")
    device_used_bytes: int | None = Field(description="of the device's memory, by all processes")
    device_utilisation: float | None = Field(description="share of the last moments in which the device computed")
    kernels: dict[str, bool] = Field(
        default={}, description="the kernels tried on a GPU, and whether each passed its self-test"
    )


class Activity(Contract):
    """The segment that a worker runs."""

    job: Identifier
    segment: str
    stage: str
    since: datetime


class Worker(Contract):
    """A worker process; one that stopped in order is not listed, and a lost one for a day."""

    name: str
    role: WorkerRole
    state: Literal["alive", "lost"] = Field(description="lost: no heartbeat for `lease_s`")
    seen_at: datetime
    seen_s: float = Field(description="seconds since the last heartbeat, by the database's clock")
    device: Device | None
    now: Activity | None = Field(description="null: it waits, or has several small tasks at once")
    report: WorkerReport | None = Field(description="null: a worker of an earlier version")
