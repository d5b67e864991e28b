"""The control of submitted jobs by clients: cancel, retry, delete."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from service.catalog import jobs, products, segments
from service.catalog.engine import Catalog
from service.catalog.quotas import HeldJob
from service.contracts.jobs import Job
from service.errors import Conflict, NotFound
from service.jobs.admission import Admission
from service.jobs.engine import JobEngine, workflow_id
from service.jobs.liveness import Liveness
from service.settings import Settings

PART_OF = "reproduction"  # label of a job that a reproduction submitted; its value is that job's id
_DIGITS = 26  # of a job's id; its products have them too, and two more
Folders = dict[str, list[Path]]


class JobControl:
    """Changes our tables in one transaction and the engine after it; `JobReconciler` repeats what was cut off there."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self._liveness = Liveness(catalog, engine, settings)
        self._admission = Admission(engine, settings)

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
            job = jobs.get(connection, job_id)
        if job.kind == "reproduction":
            self.cancel_parts(job_id)
        return job

    def cancel_parts(self, job_id: str) -> None:
        """Cancel the jobs that a reproduction submitted and that have not ended."""
        with self.catalog.read() as connection:
            parts = jobs.open_labelled(connection, PART_OF, job_id)
        for part in parts:
            with suppress(Conflict, NotFound):  # it has just ended
                self.cancel(part)

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again; what its segments have finished is kept.

        Raises:
            NotFound: no such job.
            Conflict: it is in another state.
            TooMany: as many jobs of the project wait as may.
        """
        with self.catalog.begin() as connection:
            self._admission.check_queue(connection)
            retry = jobs.retry(connection, job_id)
            job = jobs.get(connection, job_id)
            self._admission.enqueue(connection, HeldJob(job_id, job.kind, job.priority, retry))
        return job

    def delete(self, job_id: str) -> None:
        """Delete an ended job with its products and their files; sets of other jobs that it used stay.

        Raises:
            NotFound: no such job.
            Conflict: it has not ended, or another job uses one of its sets.
        """
        self.delete_with(job_id, folders_by_job(self.settings))

    def delete_with(self, job_id: str, folders: Folders) -> None:
        """Delete a job as `delete` does; many deletions may share one listing of the folders."""
        with self.catalog.begin() as connection:
            retries = jobs.delete(connection, job_id)
            products.delete(connection, job_id)
        self.engine.delete_workflows(job_id, retries)
        for folder in folders.get(job_id, ()):
            shutil.rmtree(folder, ignore_errors=True)


def folders_by_job(settings: Settings) -> Folders:
    """The folders of all jobs, also those of products that a cancelled job had not yet listed, by the job's id."""
    found: Folders = {}
    for root in (settings.staging_root, settings.artifacts_root):
        for path in root.glob("*-*"):
            found.setdefault(job_of(path), []).append(path)
    return found


def job_of(path: Path) -> str:
    """The id of the job whose digits the name of a folder has after its prefix; there need not be such a job."""
    _, _, digits = path.name.partition("-")
    return f"job-{digits[:_DIGITS]}"


def finish_cancelled(catalog: Catalog, engine: JobEngine, liveness: Liveness, job_id: str, retry: int) -> None:
    """Cancel the engine's workflows of a cancelling job; it becomes cancelled if no living worker runs a segment."""
    engine.cancel(workflow_id(job_id, retry))
    with catalog.read() as connection:
        owners = segments.running(connection, job_id)
    if not any(liveness.is_alive(worker) for worker in owners):
        with catalog.begin() as connection:
            jobs.finish(connection, job_id, "cancelled")
