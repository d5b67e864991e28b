"""Threads of a worker process beside its segments: its lock, dead workers, segments whose jobs have ended."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress

from service.catalog import segments, workers
from service.catalog.engine import Catalog
from service.catalog.locks import WorkerLock
from service.contracts.workers import WorkerReport
from service.errors import Conflict, Unavailable
from service.jobs.liveness import Liveness
from service.processes import REPLACED, STUCK
from service.settings import Settings

logger = logging.getLogger("radius.worker")
_CHECKS = 4  # of its own lock, while others check it once
_PATIENCE_S = 3.0


def only_one(settings: Settings, name: str) -> WorkerLock:
    """Take the lock of this worker's name; the end of this process releases it, even while the database is away.

    The engine would give two processes of one name the same segments.
    """
    lock = WorkerLock(Catalog(settings.resolved_database_url), settings.locks, name)
    if not _patiently(lock.take):
        raise Conflict(f"a worker called {name} is running on this data directory")
    return lock


def keep_lock(lock: WorkerLock, settings: Settings) -> None:
    """Keep holding this worker's lock; it is checked more often than others check it, who need two checks to act."""
    while True:
        time.sleep(settings.takeover_interval_s / _CHECKS)
        try:
            kept = _patiently(lock.keep)
        except Unavailable:
            continue
        if not kept:
            logger.error("another worker has this one's name; this one ends")
            logging.shutdown()
            os._exit(REPLACED)


def keep_seen(catalog: Catalog, settings: Settings, name: str, report: Callable[[], WorkerReport]) -> None:
    """Record that this worker is alive, until the process ends, for one that takes part in no recovery."""
    while True:
        with suppress(Unavailable), catalog.begin() as connection:
            workers.seen(connection, name, report())
        time.sleep(settings.takeover_interval_s)


def keep_recovering(
    liveness: Liveness, name: str, is_at: Callable[[str], bool], report: Callable[[], WorkerReport]
) -> None:
    """Recover the work of dead workers until the process ends: a draining worker still counts as alive."""
    while True:
        try:
            liveness.recover_dead_workers(name, report())
            liveness.return_lost(name, is_at)
        except Exception:
            logger.exception("the check for dead workers failed; it is repeated")
        time.sleep(liveness.settings.takeover_interval_s / (2 if liveness.has_suspects else 1))


def keep_checking_for_stuck_segments(catalog: Catalog, worker: str, stuck_s: float) -> None:
    """End this process when it runs a segment for `stuck_s` after the job has ended or its cancellation was requested.

    A segment checks at every progress write whether to continue. One that hangs in a call of a device does not, and
    only the end of its process frees the device.
    """
    since: dict[tuple[str, str], float] = {}
    while True:
        time.sleep(stuck_s / _CHECKS)
        try:
            with catalog.read() as connection:
                held = segments.unneeded(connection, worker)
        except Unavailable:
            continue
        seen = time.monotonic()
        since = {segment: since.get(segment, seen) for segment in held}
        stuck = [name for (_, name), first in since.items() if seen - first >= stuck_s]
        if stuck:
            logger.error("segment %s still runs though its job has ended; this process ends", stuck[0])
            logging.shutdown()
            os._exit(STUCK)


def _patiently(take: Callable[[], bool]) -> bool:
    """Retry for some seconds: other workers take the lock briefly, to check whether it is free."""
    deadline = time.monotonic() + _PATIENCE_S
    while not take():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
