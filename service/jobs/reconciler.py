"""Reconciliation of jobs that cannot end by themselves: the control worker makes our tables and the engine's agree."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from service.catalog import corpora, jobs, workers, workflows
from service.catalog.engine import Catalog, Connection
from service.jobs.admission import Admission
from service.jobs.control import finish_cancelled
from service.jobs.engine import COMPUTE_QUEUE, TRAIN_QUEUE, JobEngine, scan_run_id, workflow_id
from service.jobs.liveness import Liveness
from service.settings import Settings

logger = logging.getLogger(__name__)
Step = Callable[[], None]


class JobReconciler:
    """Repairs the state of jobs and corpora; every step may be repeated, and two processes may run it at once.

    Args:
        at_start: steps that run once, beside `reconcile_versions`: each until it has succeeded.
    """

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings, at_start: Sequence[Step] = ()) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self._liveness = Liveness(catalog, engine, settings)
        self._admission = Admission(engine, settings)
        self._at_start = [self.reconcile_versions, *at_start]

    def reconcile(self) -> None:
        """Run every step; a failure is logged, does not stop the other steps, and is tried again by the next call."""
        self._at_start = [step for step in self._at_start if not _succeeds(step)]
        steps = (
            self.reconcile_lost,
            self.reconcile_overdue,
            self.reconcile_untaken,
            self.reconcile_cancelled,
            self.reconcile_held,
        )
        for step in steps:
            _succeeds(step)

    def reconcile_cancelled(self) -> None:
        """Finish the cancellation of jobs whose segments no living worker runs any more."""
        with self.catalog.read() as connection:
            cancelling = jobs.in_state(connection, "cancelling")
        for job_id, retry in cancelling:
            finish_cancelled(self.catalog, self.engine, self._liveness, job_id, retry)

    def reconcile_held(self) -> None:
        """Enqueue the jobs that waited for others of their project, as far as its quota of running jobs allows."""
        self._admission.release_held(self.catalog)

    def reconcile_untaken(self) -> None:
        """Move the segments that wait for a trainer to the compute workers' queue while no trainer is alive."""
        with self.catalog.read() as connection:
            if workers.any_alive(connection, "train-", self.settings.lease_s):
                return
        for waiting in self.engine.waiting(TRAIN_QUEUE):
            self.engine.requeue(waiting, COMPUTE_QUEUE)

    def reconcile_overdue(self) -> None:
        """Fail jobs that have run for longer than their `timeout_s`; their segments stop at the next progress write."""
        with self.catalog.read() as connection:
            late = jobs.overdue(connection)
        for job_id, retry in late:
            error = {"code": "timeout", "detail": "the job took longer than its timeout_s"}
            with self.catalog.begin() as connection:
                jobs.finish(connection, job_id, "failed", error)
            self.engine.cancel(workflow_id(job_id, retry))

    def reconcile_versions(self) -> None:
        """Start jobs anew whose workflow another version began, as no worker continues it; finished work is kept."""
        with self.catalog.read() as connection:
            scans, stale = _scans(connection), workflows.of_other_versions(connection, self.engine.version)
        for scan_id in self.engine.of_other_versions(list(scans)):
            self._fail_scan(scans[scan_id], "another version of the service began to count it; register it again")
        for job_id, retry in stale:
            self.engine.cancel(workflow_id(job_id, retry))
            with self.catalog.begin() as connection:
                if (again := jobs.begin_anew(connection, job_id)) is not None:
                    job = jobs.get(connection, job_id)
                    self.engine.enqueue(connection, job.kind, workflow_id(job_id, again), job.priority, job_id)

    def reconcile_lost(self) -> None:
        """Fail jobs and scans whose workflow the engine has ended without a result (its limit on restarts)."""
        with self.catalog.read() as connection:
            scans, lost = _scans(connection), workflows.ended_badly(connection)
        for job_id, _ in lost:
            error = {"code": "lost", "detail": "the job ended without a result; its workers kept dying"}
            with self.catalog.begin() as connection:
                jobs.finish(connection, job_id, "failed", error)
        for scan_id in self.engine.ended_badly(list(scans)):
            self._fail_scan(scans[scan_id], "the corpus was not counted; its workers kept dying")

    def _fail_scan(self, corpus_id: str, detail: str) -> None:
        with self.catalog.begin() as connection:
            corpora.record_failure(connection, corpus_id, {"code": "lost", "detail": detail})


def _scans(connection: Connection) -> dict[str, str]:
    """Ids of the corpora that are being counted, by the id of the workflow that counts each."""
    return {scan_run_id(corpus_id): corpus_id for corpus_id in corpora.scanning(connection)}


def _succeeds(step: Step) -> bool:
    try:
        step()
    except Exception:  # the database may be away, by our error or the engine's own
        logger.exception("%s failed; it is tried again", getattr(step, "__name__", step))
        return False
    return True
