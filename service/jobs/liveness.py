"""Which workers live, and what becomes of the work of those that do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from service.catalog import workers
from service.catalog.engine import Catalog
from service.catalog.locks import worker_lock
from service.jobs.engine import JobEngine
from service.settings import Settings


class Liveness:
    """What one worker thinks of the others; looks at them every `takeover_interval_s`."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self._suspected: set[str] = set()
        self._lost_since: dict[str, float] = {}
        self._watching_since = time.monotonic()

    @property
    def doubts(self) -> bool:
        """Whether the last look left somebody to look at again."""
        return bool(self._suspected)

    def lives(self, worker: str) -> bool:
        """It holds its lock, and was seen within the lease."""
        return self._state(worker) == "alive"

    def recover_dead_workers(self, worker: str) -> None:
        """Say that `worker` lives, and put the workflows of those that do not back on their queues.

        Who has no lock is dead at the second look, half an interval later at least: locks go with the database's
        server, and their holders take them again before that. Who has one and was not seen is frozen, when all looks
        for a lease have succeeded: none is seen while the database is away. A look that fails says nothing of anybody.
        """
        before, self._suspected = self._suspected, set()
        watching_since, self._watching_since = self._watching_since, float("inf")
        with self.catalog.begin() as connection:
            workers.seen(connection, worker)
        states = {other: self._state(other) for other in self.engine.held_by_others(worker)}
        dead = {other for other, state in states.items() if state == "dead"}
        now = time.monotonic()
        watched_s = max(0.0, now - watching_since)
        for other, state in states.items():
            if (state == "frozen" and watched_s >= self.settings.lease_s) or other in dead & before:
                self._requeue_all(other)
        self._suspected, self._watching_since = dead, now - watched_s

    def return_lost(self, worker: str, is_at: Callable[[str], bool]) -> None:
        """Put back workflows that the engine lists as under way on `worker`, this one, though their functions returned.

        Their end could not be recorded, on a disk that is full or read-only, and nobody else would look. Only after a
        lease: starting a workflow and recording its end take moments.
        """
        queues = {workflow: queue for workflow, queue in self.engine.held_by(worker) if not is_at(workflow)}
        seen = time.monotonic()
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
        """Put back all that a worker has, unless it is back, or another one is at this already.

        While the lock of a dead one is held here, none of its name begins and takes new work that would be put back
        too; a frozen one holds its lock itself.
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
