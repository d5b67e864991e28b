"""What happens to a job after it was taken in: cancel, retry, delete, and how it ends when it cannot end by itself."""

from __future__ import annotations

import shutil

from service.catalog import corpora, jobs, products, segments, workers
from service.catalog.engine import Catalog
from service.contracts.jobs import Job
from service.jobs.engine import COMPUTE_QUEUE, TRAIN_QUEUE, JobEngine, run_id, scan_run_id
from service.jobs.liveness import Liveness
from service.settings import Settings


class JobControl:
    """Every change is a transaction of our tables first; the engine follows, and is told again if that was cut off."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self.liveness = Liveness(catalog, engine, settings)

    def cancel(self, job_id: str) -> Job:
        """Stop a job: at once when it waits, else at the next progress write of its segments.

        Raises:
            NotFound: no such job.
            Conflict: it has ended.
        """
        with self.catalog.begin() as connection:
            retry = jobs.request_cancel(connection, job_id)
        self.engine.cancel(run_id(job_id, retry))
        self.settle_cancelled()
        with self.catalog.read() as connection:
            return jobs.get(connection, job_id)

    def retry(self, job_id: str) -> Job:
        """Take a failed or cancelled job up again; what its segments have finished is kept.

        Raises:
            NotFound: no such job.
            Conflict: it is in another state.
        """
        with self.catalog.begin() as connection:
            retry = jobs.requeue(connection, job_id)
            job = jobs.get(connection, job_id)
            self.engine.enqueue(connection, job.kind, run_id(job_id, retry), job.priority, job_id)
        return job

    def delete(self, job_id: str) -> None:
        """Remove a job that has ended, with its products and their files; sets of others that it used stay.

        Raises:
            NotFound: no such job.
            Conflict: it has not ended, or another job uses one of its sets.
        """
        with self.catalog.begin() as connection:
            jobs.delete(connection, job_id)
            products.delete(connection, job_id)
        self.engine.forget(job_id)
        self._remove_files(job_id)

    def _remove_files(self, job_id: str) -> None:
        """All folders of a job, also those that it had not yet listed when it was cancelled: they carry its digits."""
        _, digits = job_id.split("-", 1)
        for root in (self.settings.staging_root, self.settings.artifacts_root):
            for folder in root.glob(f"*-{digits}*"):
                shutil.rmtree(folder, ignore_errors=True)

    def settle_cancelled(self) -> None:
        """Cancelled is a job that is being cancelled and that no living worker is at any more."""
        with self.catalog.read() as connection:
            leaving = jobs.in_state(connection, "cancelling")
            waiting = [(job_id, retry, segments.running(connection, job_id)) for job_id, retry in leaving]
        for job_id, retry, holders in waiting:
            self.engine.cancel(run_id(job_id, retry))  # again, where the process that asked died in between
            if not any(self.liveness.lives(worker) for worker in holders):
                with self.catalog.begin() as connection:
                    jobs.finish(connection, job_id, "cancelled")

    def settle_untaken(self) -> None:
        """Give what waits for a trainer to the compute workers when the last trainer has gone."""
        with self.catalog.read() as connection:
            if workers.any_alive(connection, "train-", self.settings.lease_s):
                return
        for workflow_id in self.engine.waiting(TRAIN_QUEUE):
            self.engine.give_back(workflow_id, COMPUTE_QUEUE)

    def settle_overdue(self) -> None:
        """Fail jobs that take longer than they may; what runs of them ends at its next progress write."""
        with self.catalog.read() as connection:
            late = jobs.overdue(connection)
        for job_id, retry in late:
            error = {"code": "timeout", "detail": "the job took longer than its timeout_s"}
            with self.catalog.begin() as connection:
                jobs.finish(connection, job_id, "failed", error)
            self.engine.cancel(run_id(job_id, retry))

    def settle_versions(self) -> None:
        """Run anew what another version of the workflows began, as nobody goes on with it; what is finished is kept."""
        open_jobs, scans = self._open_runs()
        for scan_id in self.engine.of_other_versions(list(scans)):
            self._fail_scan(scans[scan_id], "another version of the service began to count it; register it again")
        for run in self.engine.of_other_versions(list(open_jobs)):
            job_id = open_jobs[run]
            self.engine.cancel(run)
            with self.catalog.begin() as connection:
                if (retry := jobs.begin_anew(connection, job_id)) is not None:
                    job = jobs.get(connection, job_id)
                    self.engine.enqueue(connection, job.kind, run_id(job_id, retry), job.priority, job_id)

    def settle_lost(self) -> None:
        """Fail jobs and scans that the engine gave up on without telling us (its own limit on restarts)."""
        open_jobs, scans = self._open_runs()
        for job_id in (open_jobs[run] for run in self.engine.ended_badly(list(open_jobs))):
            error = {"code": "lost", "detail": "the job ended without a result; its workers kept dying"}
            with self.catalog.begin() as connection:
                jobs.finish(connection, job_id, "failed", error)
        for scan_id in self.engine.ended_badly(list(scans)):
            self._fail_scan(scans[scan_id], "the corpus was not counted; its workers kept dying")

    def _open_runs(self) -> tuple[dict[str, str], dict[str, str]]:
        """Jobs that have not ended, and corpora that are being counted, by the workflow that is at each."""
        with self.catalog.read() as connection:
            open_jobs = {run_id(job_id, retry): job_id for job_id, retry in jobs.unfinished(connection)}
            scans = {scan_run_id(corpus_id): corpus_id for corpus_id in corpora.scanning(connection)}
        return open_jobs, scans

    def _fail_scan(self, corpus_id: str, detail: str) -> None:
        with self.catalog.begin() as connection:
            corpora.record_failure(connection, corpus_id, {"code": "lost", "detail": detail})
