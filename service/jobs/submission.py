"""Submission of a job: validation, a check of its references, then one transaction for our row and the queue's."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

from service.catalog import corpora, jobs
from service.catalog.engine import Catalog
from service.catalog.quotas import HeldJob
from service.contracts.corpora import CorpusSource
from service.contracts.jobs import Job, JobRequest, JobSpec
from service.contracts.specs import read_spec
from service.errors import Conflict, InvalidInput, QuotaFull, TooMany, Unavailable
from service.ids import new_id
from service.jobs.admission import Admission
from service.jobs.engine import SCAN_WORKFLOW, JobEngine, scan_run_id
from service.jobs.estimation import Estimation
from service.jobs.references import check_references, check_spec, name_step
from service.settings import Settings

SCAN_PRIORITY = 1


class Submission:
    """Accepts jobs and corpora; what it accepts is committed and will run."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self.estimation = Estimation(catalog, engine, settings)
        self._admission = Admission(engine, settings)

    def submit(self, request: JobRequest, key: str | None = None) -> Job:
        """Accept a job; a second one under the same idempotency key is the first.

        Raises:
            InvalidInput, NotAvailable: the request is invalid; nothing was stored.
            DoesNotFit: it needs more disk or memory than there is.
            TooLarge: it has more chunks than the limit.
            TooMany: the project has as many jobs as it may, or as many jobs wait in all.
            QuotaFull: the project stores as many bytes as it may.
            Conflict: the key was used for another request.
        """
        # The request as it was sent: what its references resolve to changes.
        asked = None if key is None else _received(request)
        if key is not None and (found := self._submitted(key, asked)) is not None:
            return found
        spec = name_step(self.catalog, read_spec(request.kind, request.spec))
        with self.catalog.read() as connection:  # before any work for a job that is not accepted
            jobs.check_queue(connection, self.settings.max_queued_jobs)
        job_id = new_id("job")
        try:
            self._insert(request, spec, job_id, key, asked)
        except jobs.DuplicateKey:  # another request with this key was faster
            assert key is not None
            found = self._submitted(key, asked)
            if found is None:
                raise Unavailable("the job of this Idempotency-Key has just been deleted; send it again") from None
            return found
        with self.catalog.read() as connection:
            return jobs.get(connection, job_id)

    def _submitted(self, key: str, asked: str | None) -> Job | None:
        with self.catalog.read() as connection:
            found = jobs.find_by_key(connection, key)
            if found is None:
                return None
            if found[1] != asked:
                raise Conflict("this Idempotency-Key was used for another request")
            return jobs.get(connection, found[0])

    def _insert(self, request: JobRequest, spec: JobSpec, job_id: str, key: str | None, asked: str | None) -> None:
        row = {
            "id": job_id,
            "kind": request.kind,
            "spec": spec.model_dump(mode="json"),
            "priority": request.priority,
            "labels": request.labels,
            "timeout_s": request.timeout_s,
            "idempotency_key": key,
            "request_sha256": asked,
        }
        with self.catalog.read() as connection:  # files and other specs are read here, without the write lock
            self._admission.check_queue(connection)
            check_spec(connection, spec, self.settings)
            self.estimation.refuse_unfit(connection, spec, request.timeout_s)
        with self.catalog.begin() as connection:
            check_references(connection, spec)  # again: what it names may have been deleted since
            jobs.insert(connection, row)
            self._admission.enqueue(connection, HeldJob(job_id, request.kind, request.priority, retries=0))

    def check_storage(self, more: int) -> None:
        """Raise `QuotaFull` where the project may not store so many bytes more."""
        with self.catalog.read() as connection:
            self.estimation.storage.check(connection, more)

    def register_corpus(self, name: str | None, source: CorpusSource, corpus_id: str | None = None) -> str:
        """Register a corpus and enqueue its count; a hub data set is counted only as far as jobs read it.

        Raises:
            Conflict: the name is taken.
            QuotaFull, TooMany: the project has as many corpora as it may, or as many of them are being counted.
        """
        corpus_id = corpus_id or new_id("corpus")
        remote = source.dataset is not None
        with self.catalog.begin() as connection:
            self._check_corpora(connection)
            corpora.register(connection, corpus_id, name or corpus_id, source, state="ready" if remote else "scanning")
            if not remote:
                self._scan(connection, corpus_id)
        return corpus_id

    def _check_corpora(self, connection: sa.Connection) -> None:
        """Refuse a corpus beyond the project's quotas."""
        registered, scanning = corpora.counts(connection)
        if registered >= self.settings.project_corpora:
            raise QuotaFull(f"the project has {registered} corpora (project_corpora); delete some first")
        if scanning >= self.settings.project_scanning_corpora:
            raise TooMany(f"{scanning} corpora of this project are being counted (project_scanning_corpora)")

    def scan_builtins(self) -> None:
        """Enqueue the counts of the built-in corpora that were never counted."""
        with self.catalog.begin() as connection:
            for corpus_id in corpora.register_builtins(connection):
                self._scan(connection, corpus_id)

    def _scan(self, connection: sa.Connection, corpus_id: str) -> None:
        self.engine.enqueue(connection, SCAN_WORKFLOW, scan_run_id(corpus_id), SCAN_PRIORITY, corpus_id)


def _received(request: JobRequest) -> str:
    """SHA-256 of a request before validation: its spec may be any JSON."""
    try:
        body = json.dumps(request.model_dump(), sort_keys=True)
    except (RecursionError, ValueError) as error:
        raise InvalidInput("the spec is nested too deeply", field="spec") from error
    return hashlib.sha256(body.encode()).hexdigest()
