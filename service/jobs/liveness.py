"""Liveness of workers, and the recovery of the work of dead ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from service.catalog import workers
from service.catalog.engine import Catalog
from service.catalog.locks import worker_lock
from service.contracts.workers import WorkerReport
from service.jobs.engine import JobEngine
from service.settings import Settings


class Liveness:
    """The state of other workers as last checked; a worker checks them every `takeover_interval_s`.

    Args:
        clock: seconds that never go back.
    """

    def __init__(
        self, catalog: Catalog, engine: JobEngine, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.catalog, self.engine, self.settings, self._clock = catalog, engine, settings, clock
        self._suspected: set[str] = set()
        self._lost_since: dict[str, float] = {}
        self._watching_since = clock()

    @property
    def has_suspects(self) -> bool:
        """Whether the last check found a worker that seems dead, to be checked again."""
        return bool(self._suspected)

    def is_alive(self, worker: str) -> bool:
        """Whether a worker holds its lock and was seen within the lease."""
        return self._state(worker) == "alive"

    def recover_dead_workers(self, worker: str, report: WorkerReport | None = None) -> None:
        """Record that `worker` is alive and what it reports, and requeue the workflows of dead and frozen workers.

        A worker without its lock is dead at the second check, at least half an interval later: a restarted database
        server loses all locks, and their owners take them again before that. A worker that has its lock but was not
        seen is frozen once all checks of a whole lease have succeeded, as no worker is seen while the database is
        away. A check that fails changes nothing.
        """
        before, self._suspected = self._suspected, set()
        watching_since, self._watching_since = self._watching_since, float("inf")
        with self.catalog.begin() as connection:
            workers.seen(connection, worker, report)
        states = {other: self._state(other) for other in self.engine.held_by_others(worker)}
        dead = {other for other, state in states.items() if state == "dead"}
        now = self._clock()
        watched_s = max(0.0, now - watching_since)
        for other, state in states.items():
            if (state == "frozen" and watched_s >= self.settings.lease_s) or other in dead & before:
                self._requeue_all(other)
        self._suspected, self._watching_since = dead, now - watched_s

    def return_lost(self, worker: str, is_at: Callable[[str], bool]) -> None:
        """Requeue workflows that the engine lists as running on `worker`, this one, though their functions returned.

        Their end could not be recorded, as on a full disk, and no other process would find them. This waits for a
        lease, because starting a workflow and recording its end take moments.
        """
        queues = {workflow: queue for workflow, queue in self.engine.held_by(worker) if not is_at(workflow)}
        seen = self._clock()
        self._lost_since = {workflow: self._lost_since.get(workflow, seen) for workflow in queues}
        for workflow, first in list(self._lost_since.items()):
            if seen - first >= self.settings.lease_s:
                self.engine.requeue(workflow, queues[workflow])
                del self._lost_since[workflow]

    def _state(self, worker: str) -> Literal["alive", "dead", "frozen"]:
        with self._lock(worker) as free:
            if free:
                return "dead"
        return "frozen" if self._is_missing(worker) else "alive"

    def _requeue_all(self, worker: str) -> None:
        """Requeue all workflows of a worker, unless it has its lock again or another process does this already.

        While a dead worker's lock is held here, no process of its name can start and take new work that would be
        requeued too; a frozen worker holds its lock itself.
        """
        with self._lock(worker) as dead:
            if dead:
                return self._return_work(worker)
        with self._lock(f"frozen {worker}") as first:
            if first and self._is_missing(worker):
                self._return_work(worker)

    def _return_work(self, worker: str) -> None:
        for workflow_id, queue in self.engine.held_by(worker):
            self.engine.requeue(workflow_id, queue)

    def _is_missing(self, worker: str) -> bool:
        with self.catalog.read() as connection:
            return workers.is_missing(connection, worker, self.settings.lease_s)

    def _lock(self, name: str) -> AbstractContextManager[bool]:
        return worker_lock(self.catalog, self.settings.locks, name)
