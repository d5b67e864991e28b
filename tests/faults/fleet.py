"""A whole service of real processes that tests may kill and freeze: an API, a control worker, three compute workers."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

import sqlalchemy as sa

from service.catalog import jobs
from service.catalog.engine import Catalog
from service.catalog.tables import segments
from service.catalog.workers import is_alive
from service.client import Client, Finished
from service.contracts.jobs import FINAL_STATES, Job
from service.settings import Settings
from service.supervisor import environment
from tests.faults.disk import Disk
from tests.faults.processes import start_api, start_worker

PATIENCE_S = 120.0
COMPUTE = ("compute-a", "compute-b", "compute-c")
WORKERS = ("control-a", *COMPUTE)
_RESTART_S = 0.1


@dataclass(frozen=True)
class Owner:
    """A worker that has a segment, the how-manieth that is, and how far it came."""

    segment: str
    worker: str
    attempt: int
    done: int


@dataclass
class Fleet:
    """The processes by worker name, started again when they die, as the supervisor does."""

    settings: Settings
    disk: Disk
    url: str = ""
    running: dict[str, BaseProcess] = field(default_factory=dict)
    _listening: socket.socket = field(default_factory=socket.socket)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start all, and wait until every worker was seen and the API is ready."""
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        for name in ("api", *WORKERS):
            self._spawn(name)
        self._watcher = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._watcher.start()
        self.catalog = Catalog(self.settings.resolved_database_url)
        self.client = Client(self.url)
        self.client.wait_until_ready(PATIENCE_S)
        wait_until(lambda: set(WORKERS) <= self._seen(), "every worker is seen")

    def stop(self) -> None:
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for name in self.running:
            self.signal(name, signal.SIGKILL)
        for process in self.running.values():
            process.join(10)
        self.client.close()
        self.catalog.close()
        self._listening.close()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process of that name; one that is just being started again is not sent it."""
        pid = self.running[name].pid
        if pid is not None and self.running[name].is_alive():
            os.kill(pid, number)

    def kill(self, name: str) -> None:
        """kill -9, and wait until the process has gone and another one was started."""
        before = self.running[name].pid
        self.signal(name, signal.SIGKILL)
        wait_until(lambda: self.running[name].pid != before, f"{name} is started again")

    def run(self, kind: str, spec: dict[str, Any]) -> Finished:
        return self.client.submit(kind, spec).wait(timeout_s=PATIENCE_S)

    def job(self, job_id: str) -> Job:
        """A job by its rows, which costs the API nothing."""
        with self.catalog.read() as connection:
            return jobs.get(connection, job_id)

    def wait_for_end(self, job_id: str) -> Job:
        return self.wait_for(job_id, lambda job: job.state in FINAL_STATES)

    def owner(self, job_id: str) -> Owner | None:
        """Who has the segment that was begun last of a job's, where it was not let go."""
        query = sa.select(segments).where(segments.c.job == job_id, segments.c.running)
        with self.catalog.read() as connection:
            row = connection.execute(query.order_by(segments.c.started_at.desc())).first()
        return None if row is None else Owner(row.name, row.worker, row.attempt, row.done)

    def wait_for(self, job_id: str, ready: Callable[[Job], bool]) -> Job:
        """The job, once it is as wanted."""
        try:
            wait_until(lambda: ready(self.job(job_id)), f"job {job_id} gets that far")
        except AssertionError as late:
            late.add_note(f"{self.job(job_id)}\n{self.owner(job_id)}")
            raise
        return self.job(job_id)

    def log(self, name: str) -> str:
        return (self.settings.data_dir / "logs" / f"{name}.log").read_text()

    def _seen(self) -> set[str]:
        with self.catalog.read() as connection:
            return {name for name in WORKERS if is_alive(connection, name, self.settings.lease_s)}

    def _spawn(self, name: str) -> None:
        log = self.settings.data_dir / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        role, _, worker = name.partition("-")
        given = environment(self.settings.model_copy(update={"worker_name": worker or "a"}))
        started = start_api(given, self._listening, log) if role == "api" else start_worker(given, role, log)
        self.running[name] = started

    def _watch(self) -> None:
        while not self._stopping.wait(_RESTART_S):
            for name, process in list(self.running.items()):
                if not process.is_alive():
                    self._spawn(name)


def wait_until(ready: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for a condition; raises `AssertionError` saying `what` did not come true."""
    deadline = time.monotonic() + patience_s
    while not ready():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(0.03)


@contextmanager
def running(settings: Settings) -> Iterator[Fleet]:
    """A fleet that is started and stopped, with its disk."""
    disk = Disk(settings.artifacts_root)
    fleet = Fleet(settings, disk)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
        disk.unmount()
