"""The quotas of a project for jobs: how many may wait, and how many the job engine has at once.

The engine has as many places as its control worker has threads, and gives them out in the order of enqueueing. A
project with ten thousand jobs would fill them all, and jobs of others would wait for days. So the engine gets only as
many jobs of a project as may run; the control worker hands on the next ones as those end.
"""

from __future__ import annotations

from typing import get_args

import sqlalchemy as sa

from service.catalog import quotas
from service.catalog.engine import Catalog
from service.contracts.jobs import JobKind
from service.errors import TooMany
from service.jobs.engine import JobEngine, queue_of, workflow_id
from service.settings import Settings

_KINDS: tuple[str, ...] = get_args(JobKind)


class Admission:
    """Enqueues the jobs of a project, or holds them. Requests at the same moment may exceed a quota by their number."""

    def __init__(self, engine: JobEngine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings

    def check_queue(self, connection: sa.Connection) -> None:
        """Raise `TooMany` where as many jobs of the project wait as may."""
        most = self.settings.project_queued_jobs
        if quotas.waiting(connection) >= most:
            raise TooMany(f"{most} jobs of this project wait already (project_queued_jobs)")

    def enqueue(self, connection: sa.Connection, job: quotas.HeldJob) -> None:
        """Enqueue a queued job in the caller's transaction, or hold it while as many run as may, or others wait."""
        kinds = _kinds_beside(job.kind)
        running = quotas.started(connection, kinds) - 1  # this one is not held yet
        if running >= self._most_running(kinds) or quotas.held(connection, kinds, 1):
            quotas.hold(connection, job.id)
        else:
            self._enqueue(connection, job)

    def release_held(self, catalog: Catalog) -> None:
        """Enqueue the held jobs of every project that may run now; `catalog` is of all projects."""
        with catalog.read() as connection:
            projects = quotas.projects_with_held(connection)
        for project in projects:
            for kinds in {_kinds_beside(kind) for kind in _KINDS}:
                self._release(catalog.of(project), kinds)

    def _release(self, catalog: Catalog, kinds: tuple[str, ...]) -> None:
        with catalog.begin() as connection:
            free = self._most_running(kinds) - quotas.started(connection, kinds)
            for job in quotas.held(connection, kinds, max(0, free)):
                if quotas.release(connection, job.id):
                    self._enqueue(connection, job)

    def _most_running(self, kinds: tuple[str, ...]) -> int:
        """The most jobs of these kinds that a project may have in the engine."""
        most = self.settings.project_running_jobs
        return min(most, self.settings.project_running_reproductions) if "reproduction" in kinds else most

    def _enqueue(self, connection: sa.Connection, job: quotas.HeldJob) -> None:
        self.engine.enqueue(connection, job.kind, workflow_id(job.id, job.retries), job.priority, job.id)


def _kinds_beside(kind: str) -> tuple[str, ...]:
    """The kinds that share the places of `kind`: those on its queue."""
    return tuple(other for other in _KINDS if queue_of(other) == queue_of(kind))
