"""Metrics read from the database, at most every `metrics_cache_s`: jobs, work done, workers."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.catalog import totals, workers
from service.catalog.clock import moment
from service.catalog.engine import Catalog
from service.catalog.totals import KindCount, Queue, WorkDone
from service.contracts.base import now
from service.contracts.workers import NEEDED_ROLES, Worker
from service.errors import Unavailable
from service.settings import Settings

_ANSWER_S = 2.0  # a scrape must not wait for a database that does not answer


@dataclass(frozen=True)
class Reading:
    """The result of one read of the database."""

    jobs: list[KindCount]
    queues: list[Queue]
    work: dict[tuple[str, str], int]
    workers: list[Worker]
    database_bytes: int
    seconds: float


class WorkCounter:
    """Work of all jobs by (stage, unit), from what each job had done at each read.

    What was done before the first read of this process does not count, so a restart begins at 0, as counters do.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], int] = {}
        self._totals: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._since: datetime | None = None

    @property
    def since(self) -> datetime:
        """Jobs that ended before need not be read."""
        return self._since or now()

    def add(self, found: Iterable[WorkDone], at: datetime) -> dict[tuple[str, str], int]:
        """Take in what was read at a moment; returns the totals."""
        known = {(work.job, work.stage, work.unit): work.done for work in found}
        if self._since is not None:
            for (job, stage, unit), done in known.items():
                self._totals[stage, unit] += max(0, done - self._known.get((job, stage, unit), 0))
        self._known, self._since = known, at
        return dict(self._totals)


class StoredMetrics:
    """A collector that two scrapes at once share; while the database is away it yields `radius_database_up 0` alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalog = Catalog(settings.resolved_database_url, _ANSWER_S)
        self._work, self._lock = WorkCounter(), threading.Lock()
        self._reading: Reading | None = None
        self._read_s = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """The families of the latest reading."""
        reading = self._latest()
        yield GaugeMetricFamily("radius_database_up", "Whether the database answers.", value=float(reading is not None))
        if reading is None:
            return
        yield GaugeMetricFamily("radius_database_bytes", "Size of the database.", value=reading.database_bytes)
        yield GaugeMetricFamily("radius_database_read_seconds", "Time of the reads below.", value=reading.seconds)
        yield from _job_families(reading)
        yield from _worker_families(reading.workers)

    def close(self) -> None:
        """Close the connections."""
        self._catalog.close()

    def _latest(self) -> Reading | None:
        with self._lock:
            if time.monotonic() - self._read_s > self._settings.metrics_cache_s:
                try:
                    self._reading = self._read()
                except Unavailable:
                    self._reading = None
                self._read_s = time.monotonic()
            return self._reading

    def _read(self) -> Reading:
        began, since = time.perf_counter(), self._work.since
        with self._catalog.read() as connection:
            at = moment(connection)
            return Reading(
                totals.job_counts(connection),
                totals.queues(connection),
                self._work.add(totals.work_done(connection, since), at),
                workers.listed(connection, self._settings.lease_s),
                totals.database_bytes(connection),
                time.perf_counter() - began,
            )


def _job_families(reading: Reading) -> Iterator[Metric]:
    counts = GaugeMetricFamily("radius_jobs", "Jobs that the database has.", labels=("kind", "state"))
    for found in reading.jobs:
        counts.add_metric((found.kind, found.state), found.count)
    waiting = ("kind", "project")
    depth = GaugeMetricFamily("radius_queued_jobs", "Queued jobs.", labels=waiting)
    oldest = GaugeMetricFamily("radius_oldest_queued_seconds", "Age of the oldest queued job.", labels=waiting)
    for queue in reading.queues:
        depth.add_metric((queue.kind, queue.project), queue.count)
        oldest.add_metric((queue.kind, queue.project), queue.oldest_s)
    work = CounterMetricFamily(
        "radius_work_done", "Work of jobs since the first scrape of this process.", labels=("stage", "unit")
    )
    for (stage, unit), done in sorted(reading.work.items()):
        work.add_metric((stage, unit), done)
    yield from (counts, depth, oldest, work)


def _worker_families(found: list[Worker]) -> Iterator[Metric]:
    alive = GaugeMetricFamily("radius_workers", "Workers that are alive.", labels=("role",))
    for role in dict.fromkeys((*NEEDED_ROLES, *(worker.role for worker in found))):
        alive.add_metric((role,), sum(worker.role == role and worker.state == "alive" for worker in found))
    yield alive
    gauges = {
        "radius_worker_up": ("1: alive, 0: lost.", lambda one: float(one.state == "alive")),
        "radius_worker_seen_seconds": ("Time since the last heartbeat.", lambda one: one.seen_s),
        "radius_worker_busy": ("Whether it runs a segment.", lambda one: float(one.now is not None)),
        "radius_worker_resident_bytes": ("Main memory.", lambda one: one.report and one.report.resident_bytes),
        "radius_device_memory_bytes": ("Memory of the device.", lambda one: one.device and one.device.memory_bytes),
        "radius_device_used_bytes": ("Device memory in use.", lambda one: one.report and one.report.device_used_bytes),
        "radius_device_utilisation": (
            "Share of time in which the device computes.",
            lambda one: one.report and one.report.device_utilisation,
        ),
    }
    for name, (help_text, value_of) in gauges.items():
        family = GaugeMetricFamily(name, help_text, labels=("worker", "role"))
        for worker in found:
            if (value := value_of(worker)) is not None:
                family.add_metric((worker.name, worker.role), value)
        yield family
    kernels = GaugeMetricFamily(
        "radius_worker_kernel", "1: the GPU's kernel passed its self-test, 0: it is not used.",
        labels=("worker", "role", "kernel"),
    )  # fmt: skip
    for worker in found:
        for kernel, passed in sorted(worker.report.kernels.items() if worker.report else ()):
            kernels.add_metric((worker.name, worker.role, kernel), float(passed))
    yield kernels
    segments = CounterMetricFamily(
        "radius_segments", "Segments since the worker began.", labels=("worker", "role", "outcome")
    )
    for worker in found:
        for outcome, count in sorted(worker.report.segments.items() if worker.report else ()):
            segments.add_metric((worker.name, worker.role, outcome), count)
    yield segments
