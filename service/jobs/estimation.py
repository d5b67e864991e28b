"""Estimates of the time, disk and memory of jobs; refuses jobs that do not fit."""

from __future__ import annotations

import shutil
import time
from typing import TypeVar

import sqlalchemy as sa

from service.catalog import calibrations, jobs, workers
from service.catalog.engine import Catalog
from service.contracts.estimates import Calibration, Device, Estimate, StageEstimate
from service.contracts.jobs import JobRequest, JobSpec
from service.contracts.specs import read_spec
from service.errors import DoesNotFit
from service.estimates.pricing import price
from service.jobs.engine import CALIBRATE_WORKFLOW, JobEngine
from service.jobs.references import check_spec, name_step
from service.jobs.storage_quota import StorageQuota
from service.jobs.workload import Workload, WorkloadModel
from service.settings import Settings
from service.sizes import shown_apart, shown_bytes

_CALIBRATION_PRIORITY = 1
Number = TypeVar("Number", int, float)


class Estimation:
    """Estimates jobs before they are submitted, and refuses jobs that cannot fit."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self.storage = StorageQuota(settings)

    def estimate(self, request: JobRequest) -> Estimate:
        """Estimate a job; times are null until a worker's device has been calibrated.

        Raises:
            InvalidInput, TooLarge: as its submission would; `DoesNotFit` is not raised.
        """
        spec, settings = name_step(self.catalog, read_spec(request.kind, request.spec)), self.settings
        with self.catalog.read() as connection:
            check_spec(connection, spec, settings)
            found, device, speeds = self._devices(connection)
            living = workers.count_alive(connection, "compute-", settings.lease_s)
            waiting = jobs.count_open(connection)
            workload = _model(settings, found, speeds).of(connection, spec)
        stages = self._price(workload, speeds, living)
        segments, seconds = [stage.segments for stage in stages], _seconds(workload, stages)
        reason = self._reason(workload, found) or self._too_long(seconds, request.timeout_s)
        return Estimate(
            kind=request.kind,
            stages=stages,
            rows=workload.rows,
            segments=_total(segments),
            seconds=seconds,
            written_bytes=sum(stage.written_bytes for stage in stages),
            memory_bytes=max(stage.memory_bytes for stage in stages),
            free_disk_bytes=self._free_disk(),
            free_memory_bytes=None if device is None else device.memory_bytes,
            workers=living,
            jobs_before=waiting,
            device=device,
            calibration=speeds,
            reused=workload.reused,
            fits=reason is None,
            reason=reason,
            notes=workload.notes + _notes_on_time(device, speeds),
        )

    def calibrate(self, device: Device) -> None:
        """Enqueue the calibration of a device; a repeat within a minute changes nothing."""
        name = f"calibrate-{device.fingerprint}-{time.time() // 60:.0f}"
        with self.catalog.begin() as connection:
            self.engine.enqueue(connection, CALIBRATE_WORKFLOW, name, _CALIBRATION_PRIORITY, name)

    def refuse_unfit(self, connection: sa.Connection, spec: JobSpec, timeout_s: float | None = None) -> None:
        """Refuse a job that is too large, with the numbers.

        A job that gives a `timeout_s` may take as long as that; of others the limit is `max_job_hours`.

        Raises:
            DoesNotFit: it needs more disk, memory or time than there is.
            QuotaFull: it would store more than the project may.
        """
        found, _, speeds = self._devices(connection)
        workload = _model(self.settings, found, speeds).of(connection, spec)
        reason = self._reason(workload, found)
        if reason is None and found and timeout_s is None:
            living = workers.count_alive(connection, "compute-", self.settings.lease_s)
            reason = self._too_long(_seconds(workload, self._price(workload, speeds, living)), timeout_s)
        if reason is not None:
            raise DoesNotFit(reason, field="spec")
        self.storage.check(connection, sum(work.written_bytes for work in workload.stages))

    def _devices(self, connection: sa.Connection) -> tuple[list[Device], Device | None, Calibration | None]:
        """The devices of the live compute workers, the one with the most memory, and its speeds."""
        found = workers.devices(connection, "compute-", self.settings.lease_s)
        device = max(found, key=lambda one: one.memory_bytes, default=None)
        return found, device, None if device is None else calibrations.get(connection, device.fingerprint)

    def _price(self, workload: Workload, speeds: Calibration | None, living: int) -> list[StageEstimate]:
        overhead_s = 2 * self.settings.poll_interval_s  # of the control worker's poll, then of a compute worker's
        return [price(work, speeds, living, overhead_s) for work in workload.stages]

    def _too_long(self, seconds: float | None, timeout_s: float | None) -> str | None:
        """Why a job takes too long; None where it does not, or has a time limit of its own."""
        most = self.settings.max_job_hours
        if seconds is None or timeout_s is not None or seconds <= 3600 * most:
            return None
        return (
            f"it takes an estimated {seconds / 3600:.0f} hours, and {most:g} are allowed (max_job_hours); "
            "a job that gives its own limit, timeout_s, may take longer"
        )

    def _reason(self, workload: Workload, found: list[Device]) -> str | None:
        """Why a job cannot fit; None if it fits, or if its corpus has not been counted yet."""
        if not workload.certain:
            return None
        written, free = sum(work.written_bytes for work in workload.stages), self._free_disk()
        if written > free:
            wanted, there = shown_apart(written, free)
            reserve = shown_bytes(self.settings.disk_reserve_bytes)
            return (
                f"it writes {wanted}; {there} are free on the data directory's disk beyond the reserve of {reserve} "
                "(disk_reserve_bytes)"
            )
        largest = max((device.memory_bytes for device in found), default=None)
        needed = max((work.memory_bytes for work in workload.stages), default=0)
        if largest is not None and needed > largest:
            wanted, there = shown_apart(needed, largest)
            return f"a worker of it needs {wanted} of memory; the largest live worker has {there}"
        return None

    def _free_disk(self) -> int:
        return max(0, shutil.disk_usage(self.settings.data_dir).free - self.settings.disk_reserve_bytes)


def _model(settings: Settings, found: list[Device], speeds: Calibration | None) -> WorkloadModel:
    return WorkloadModel(settings, gpu=workers.on_gpus(found), speeds=speeds)


def _seconds(workload: Workload, stages: list[StageEstimate]) -> float | None:
    return _total([stage.seconds for stage in stages]) if workload.rows is not None else None


def _total(values: list[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if len(known) == len(values) else None


def _notes_on_time(device: Device | None, speeds: Calibration | None) -> list[str]:
    if device is None:
        return ["there is no live compute worker, so time and memory are unknown"]
    return [] if speeds is not None else ["the device is being measured; ask again in some seconds"]
