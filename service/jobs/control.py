"""What clients may do to a job after its submission: cancel, retry, delete."""

from __future__ import annotations

import shutil

from service.catalog import jobs, products, segments
from service.catalog.engine import Catalog
from service.contracts.jobs import Job
from service.jobs.engine import JobEngine, run_id
from service.jobs.liveness import Liveness
from service.settings import Settings


class JobControl:
    """Changes our tables in one transaction and the engine after it; `JobReconciler` repeats what was cut off there."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self._liveness = Liveness(catalog, engine, settings)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once if no worker runs one of its segments, else at their next progress write.

        Raises:
            NotFound: no such job.
            Conflict: it has ended.
        """
        with self.catalog.begin() as connection:
            retry = jobs.request_cancel(connection, job_id)
        finish_cancelled(self.catalog, self.engine, self._liveness, job_id, retry)
        with self.catalog.read() as connection:
            return jobs.get(connection, job_id)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again; what its segments have finished is kept.

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
        """Delete an ended job with its products and their files; sets of other jobs that it used stay.

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
        """Remove all folders with the job's digits, also those of products that a cancelled job had not yet listed."""
        _, digits = job_id.split("-", 1)
        for root in (self.settings.staging_root, self.settings.artifacts_root):
            for folder in root.glob(f"*-{digits}*"):
                shutil.rmtree(folder, ignore_errors=True)


def finish_cancelled(catalog: Catalog, engine: JobEngine, liveness: Liveness, job_id: str, retry: int) -> None:
    """Cancel the engine's workflows of a cancelling job; it becomes cancelled if no living worker runs a segment."""
    engine.cancel(run_id(job_id, retry))
    with catalog.read() as connection:
        owners = segments.running(connection, job_id)
    if not any(liveness.lives(worker) for worker in owners):
        with catalog.begin() as connection:
            jobs.finish(connection, job_id, "cancelled")
