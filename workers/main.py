"""A worker process: `python -m workers.main --role control|compute|train|query`.

One process has one device and runs one segment at a time; a machine with more devices runs more compute workers. A
trainer is a compute worker that runs training segments only, on a device reserved for them; with several devices,
`torchrun --standalone --nproc-per-node=N -m workers.main --role train` is one trainer on N of them.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial

from dbos import DBOS
from dbos import error as dbos_error

from service.catalog import background_tasks, segments, workers
from service.catalog.engine import NOT_MIGRATED, Catalog
from service.contracts.base import now
from service.errors import Conflict, RadiusError, Unavailable
from service.jobs.control import JobControl
from service.jobs.engine import (
    APP_NAME,
    APP_VERSION,
    COMPUTE_QUEUE,
    CONTROL_QUEUE,
    REPRODUCTIONS_QUEUE,
    RUNS_QUEUE,
    TRAIN_QUEUE,
    TRAININGS_QUEUE,
    JobEngine,
    engine_url,
)
from service.jobs.liveness import Liveness
from service.jobs.outages import wait_out_outages
from service.jobs.polling import POLL_S, QueuePolling
from service.jobs.reconciler import JobReconciler
from service.jobs.retention import Retention
from service.jobs.submission import Submission
from service.permissions import keep_files_private
from service.processes import NOT_YET, open_standard_streams
from service.settings import Settings
from workers.flows.engine.runtime import Runtime, set_runtime
from workers.logs import begin_logging
from workers.reporting import reporter
from workers.watching import keep_checking_for_stuck_segments, keep_lock, keep_recovering, keep_seen, only_one

logger = logging.getLogger("radius.worker")
# Of each queue: workflows at once, and poll intervals between two polls. A job's workflow only waits, in a thread;
# scans and short jobs must not wait for trainings, nor the runs of a sweep for sweeps. Trainings can wait half a
# second.
_QUEUES = {
    "control": {
        CONTROL_QUEUE: (192, 1),
        TRAININGS_QUEUE: (96, 5),
        RUNS_QUEUE: (96, 5),
        REPRODUCTIONS_QUEUE: (16, 5),
    },
    "compute": {COMPUTE_QUEUE: (1, 1)},
    "train": {TRAIN_QUEUE: (1, 1)},
}


def main() -> None:
    """Run one worker until SIGTERM or SIGINT; an error of ours at its start is one line of its log.

    Exit code 75 says that the same start may succeed later: the database is away or not migrated yet, or another worker
    still has the name.
    """
    open_standard_streams()
    keep_files_private()
    try:
        _run()
    except RadiusError as error:
        logger.error("%s", error.detail)
        sys.exit(NOT_YET if isinstance(error, Conflict | Unavailable) else 1)


def _run() -> None:
    parser = argparse.ArgumentParser(prog="radius worker")
    parser.add_argument("--role", choices=["control", "compute", "train", "query"], required=True)
    parser.add_argument("--process", help="its name in the lines of the log; default: the role")
    given = parser.parse_args()
    role, settings = given.role, Settings()
    begin_logging(settings, given.process or role)
    settings.make_folders()
    _check_tables(settings)
    name = f"{role}-{settings.worker_name}"
    if role == "train" and _is_other_rank(Runtime(settings, Catalog(settings.resolved_database_url), name, role)):
        return
    lock = only_one(settings, name)
    _begin_thread("lock", keep_lock, lock, settings)
    if role == "query":
        from workers.query.server import serve

        catalog = Catalog(settings.resolved_database_url)
        _begin_thread("heartbeat", keep_seen, catalog, settings, name, reporter(settings.device, {}))
        serve(settings, catalog, at_end=partial(_remove, catalog, name))
        return
    stop, at_once = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        (at_once if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    run_worker(settings, role, name, stop, at_once)


def _check_tables(settings: Settings) -> None:
    """Raise `Unavailable` on a database without our tables or the engine's, and while it is away."""
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        catalog.check()
    with closing(JobEngine(settings.resolved_database_url)) as engine:
        engine.check()


def _is_other_rank(runtime: Runtime) -> bool:
    """False for rank 0 of a trainer; another rank that `torchrun` started runs here until `torchrun` ends it."""
    from workers.devices.device import set_precise_float32
    from workers.flows.training.segments import follow
    from workers.training.ranks import own_ranks

    if own_ranks().rank == 0:
        return False
    set_precise_float32(runtime.settings.torch_threads)
    follow(runtime)
    return True


def run_worker(settings: Settings, role: str, name: str, stop: threading.Event, hurry: threading.Event) -> None:
    """Serve the role's queue until `stop` is set; then end the segment, in `drain_s` or until `hurry` is set."""
    catalog = Catalog(settings.resolved_database_url)
    runtime = Runtime(settings, catalog, name, role)
    set_runtime(runtime)
    _launch(settings, role, name)
    pauses_s = {queue: pace * settings.poll_interval_s for queue, (_, pace) in _QUEUES[role].items()}
    QueuePolling(catalog, pauses_s, lambda: not runtime.busy.is_set(), runtime.draining).begin()
    if role in ("compute", "train"):
        _record_device(runtime)
    DBOS.listen_queues(list(_QUEUES[role]))
    try:
        DBOS.launch()
    except dbos_error.DBOSInitializationError as error:  # the engine's tables are of an earlier version of it
        raise Unavailable(NOT_MIGRATED) from error
    for queue, (at_once, _) in _QUEUES[role].items():
        DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=POLL_S, on_conflict="always_update")
    logger.info("ready")
    engine = JobEngine(settings.resolved_database_url)
    report = reporter(settings.device, runtime.ended)
    _begin_thread("takeover", keep_recovering, Liveness(catalog, engine, settings), name, runtime.is_executing, report)
    _begin_thread("stuck", keep_checking_for_stuck_segments, catalog, name, settings.stuck_s)
    if role == "control":
        retention = Retention(JobControl(catalog, engine, settings), settings)
        _begin_thread("cleanup", _keep_cleaning_up, retention, stop)
        at_start = [Submission(catalog, engine, settings).scan_builtins]
        _keep_reconciling(JobReconciler(catalog, engine, settings, at_start), stop)
    stop.wait()
    logger.info("stopping: the running segment may end, for %g s at most", settings.drain_s)
    runtime.draining.set()
    if role != "control":
        _drain(settings.drain_s, hurry)
    _release(catalog, name)
    _remove(catalog, name)
    logger.info("stopped")
    # Another worker runs an unfinished segment again, from its last finished shard.
    logging.shutdown()
    os._exit(0)


def _launch(settings: Settings, role: str, name: str) -> None:
    """Import the role's workflows (only a compute worker needs torch) and configure the engine."""
    wait_out_outages()
    DBOS(
        config={
            "name": APP_NAME,
            "system_database_url": engine_url(settings.resolved_database_url),
            "executor_id": name,
            "application_version": APP_VERSION,
            "run_migrations": False,
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": 1.0,
        }
    )
    if role == "control":
        import workers.flows.control
    else:
        import workers.flows.compute  # noqa: F401
        from workers.devices.device import choose_device, set_precise_float32, unused_gpu, use_device

        set_precise_float32(settings.torch_threads)
        device = choose_device(settings.device)
        use_device(device)
        logger.info("computing on %s", device)
        if settings.device == "auto" and (reason := unused_gpu()) is not None:
            logger.warning("%s", reason)


def _record_device(runtime: Runtime) -> None:
    """Record this worker's device, for estimates; they do without it while the database is away."""
    from workers.flows.calibrations.measure import this_device

    device = this_device(runtime.settings)
    try:
        with runtime.catalog.begin() as connection:
            workers.record_device(connection, runtime.worker, device)
    except Unavailable:
        logger.warning("the database is away; estimates lack this worker's device")


def _drain(seconds: float, hurry: threading.Event) -> None:
    """Take no more segments and let the running one end: a training writes a checkpoint, others may finish."""

    def end() -> None:
        DBOS.destroy(workflow_completion_timeout_sec=max(1, round(seconds)))
        hurry.set()

    threading.Thread(target=end, name="drain", daemon=True).start()
    hurry.wait(seconds + 1)


def _release(catalog: Catalog, name: str) -> None:
    """Release the running segment: an orderly stop does not count as a death."""
    try:
        with catalog.begin() as connection:
            segments.release_all(connection, name)
            background_tasks.release(connection, name)
    except Unavailable:
        logger.warning("the database is away; the stop will count as a death")


def _remove(catalog: Catalog, name: str) -> None:
    """Remove this worker's row, so that it does not count as alive until the end of its lease."""
    with suppress(Unavailable), catalog.begin() as connection:
        workers.remove(connection, name)


def _begin_thread(name: str, target: Callable[..., None], *arguments: object) -> None:
    """Start a thread that lasts as long as the process."""
    threading.Thread(target=target, args=arguments, name=name, daemon=True).start()


def _keep_reconciling(reconciler: JobReconciler, stop: threading.Event) -> None:
    while True:
        reconciler.reconcile()
        if stop.wait(reconciler.settings.reconcile_interval_s):
            return


def _keep_cleaning_up(retention: Retention, stop: threading.Event) -> None:
    while True:
        try:
            retention.clean_up(now())
        except Exception:
            logger.exception("cleaning up failed; it is repeated")
        if stop.wait(retention.settings.cleanup_interval_s):
            return


if __name__ == "__main__":
    main()
