"""Deletes expired jobs, files that dead processes left, and the least recently used indices of the cache."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from service.artifacts.cleanup import remove_stale, trim_cache
from service.catalog import jobs, products
from service.contracts.jobs import FINAL_STATES
from service.errors import Conflict, NotFound
from service.jobs.control import JobControl, folders_by_job, job_of
from service.settings import Settings

KEEP = ("keep", "true")  # the label of a job that is never deleted by age
logger = logging.getLogger(__name__)


class Retention:
    """Cleans up by the limits of the settings; two processes may do so at the same time."""

    def __init__(self, control: JobControl, settings: Settings) -> None:
        self.control, self.settings = control, settings

    def clean_up(self, moment: datetime) -> None:
        """Delete all that has expired at `moment`."""
        self._delete_expired(moment)
        before = moment - timedelta(seconds=self.settings.leftover_age_s)
        self._remove_leftovers(before)
        self._remove_orphans(before)
        trim_cache(self.settings.index_cache, self.settings.index_cache_bytes)

    def _delete_expired(self, moment: datetime) -> None:
        whole, failed = self.settings.retain_jobs_days, self.settings.retain_failed_days
        days = {"succeeded": whole, "failed": failed or whole, "cancelled": failed or whole}
        with self.control.catalog.read() as connection:
            ended = [
                job_id
                for state, kept in days.items()
                if kept is not None
                for job_id, labels in jobs.ended_before(connection, state, moment - timedelta(days=kept))
                if KEEP not in labels.items()
            ]
        folders = folders_by_job(self.settings) if ended else {}
        for job_id in sorted(ended, reverse=True):  # the users of a set come after its maker
            with suppress(Conflict, NotFound):  # in use, retried, or deleted meanwhile
                self.control.delete_with(job_id, folders)
                logger.info("%s was deleted: it has expired", job_id)

    def _remove_leftovers(self, before: datetime) -> None:
        """Delete old unpublished files of no existing job: the process that wrote them died."""
        settings = self.settings
        staged = [path for path in settings.staging_root.glob("*") if not self._is_of_a_job(path)]
        gone = remove_stale(staged, before)
        uploads = [path for path in settings.uploads_root.glob("act-*.upload") if not self._is_read(path)]
        partial = [*settings.uploads_root.glob(".*.tmp"), *settings.index_cache.glob(".*.tmp")]
        for path in gone + remove_stale(uploads + partial, before):
            logger.info("%s was deleted: the process that wrote it died", path.name)

    def _remove_orphans(self, before: datetime) -> None:
        """Delete old published folders without a row: of half-deleted jobs, of jobs that ended first, of imports.

        A catalog without any product is more likely the wrong one than that of these files: nothing is deleted then.
        """
        found = [path for path in self.settings.artifacts_root.iterdir() if products.is_id(path.name)]
        with self.control.catalog.read() as connection:  # after the folders: a row that came meanwhile counts
            named = products.ids(connection)
        for path in found if named else []:
            if path.name not in named and self._has_ended(path) and remove_stale([path], before):
                logger.info("%s was deleted: it has no row", path.name)

    def _has_ended(self, product: Path) -> bool:
        """Whether the job of a product has ended or does not exist."""
        with self.control.catalog.read() as connection:
            return jobs.state(connection, job_of(product)) in (None, *FINAL_STATES)

    def _is_read(self, upload: Path) -> bool:
        """Whether an import is reading the upload: it writes into a folder of its own."""
        return (self.settings.staging_root / upload.stem).exists()

    def _is_of_a_job(self, staged: Path) -> bool:
        with self.control.catalog.read() as connection:
            return jobs.state(connection, job_of(staged)) is not None
