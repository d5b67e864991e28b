"""Taking in a job: validate, check what it refers to, then one transaction for our row and the queue's."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from service.artifacts.manifest import canonical_json
from service.catalog import corpora, jobs
from service.catalog.engine import Catalog, DuplicateKey
from service.contracts.base import Notice
from service.contracts.corpora import CorpusSource
from service.contracts.jobs import Job, JobRequest, JobSpec
from service.contracts.presets import read_spec
from service.errors import Conflict
from service.ids import new_id
from service.jobs.engine import SCAN_WORKFLOW, JobEngine, scan_run_id
from service.jobs.estimation import Estimation
from service.jobs.references import check_references, name_step
from service.settings import Settings

SCAN_PRIORITY = 1


class Submission:
    """Accepts jobs and corpora; what it has accepted is committed and will run."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings
        self.estimation = Estimation(catalog, engine, settings)

    def submit(self, request: JobRequest, key: str | None = None) -> Job:
        """Accept a job; a second one under the same idempotency key is the first.

        Raises:
            InvalidInput, NotAvailable: the request cannot be served; nothing was kept.
            DoesNotFit: more disk or memory than there is.
            TooLarge: more chunks than the limit.
            Conflict: the key was used for another request.
        """
        spec = name_step(self.catalog, read_spec(request.kind, request.spec))
        job_id = new_id("job")
        stored = spec.model_dump(mode="json")
        asked = _sha256([request.kind, stored, request.priority, request.labels, request.timeout_s])
        if key is not None and (found := self._submitted(key, asked)) is not None:
            return found
        try:
            self._insert(request, spec, job_id, stored, key, asked)
        except DuplicateKey:  # another request with this key came between
            found = self._submitted(key or "", asked)
            assert found is not None
            return found
        with self.catalog.read() as connection:
            return jobs.get(connection, job_id)

    def _submitted(self, key: str, asked: str) -> Job | None:
        with self.catalog.read() as connection:
            found = jobs.find_by_key(connection, key)
            if found is None:
                return None
            if found[1] != asked:
                raise Conflict("this Idempotency-Key was used for another request")
            return jobs.get(connection, found[0])

    def _insert(
        self, request: JobRequest, spec: JobSpec, job_id: str, stored: dict[str, Any], key: str | None, asked: str
    ) -> None:
        with self.catalog.begin() as connection:
            check_references(connection, spec, self.settings)
            self.estimation.refuse_unfit(connection, spec)
            row = {
                "id": job_id,
                "kind": request.kind,
                "spec": stored,
                "spec_sha256": _sha256(stored),
                "priority": request.priority,
                "labels": request.labels,
                "timeout_s": request.timeout_s,
                "idempotency_key": key,
                "request_sha256": asked,
            }
            jobs.insert(connection, row)
            self.engine.enqueue(connection, request.kind, job_id, request.priority, job_id)

    def register_corpus(self, name: str | None, source: CorpusSource, corpus_id: str | None = None) -> str:
        """Register a corpus and have a worker count it; a data set is counted only as far as jobs read it."""
        corpus_id = corpus_id or new_id("corpus")
        remote = source.dataset is not None
        with self.catalog.begin() as connection:
            corpora.register(connection, corpus_id, name or corpus_id, source, state="ready" if remote else "scanning")
            if not remote:
                self._scan(connection, corpus_id)
        return corpus_id

    def scan_builtins(self) -> None:
        """Have the built-in corpora counted that never were."""
        with self.catalog.begin() as connection:
            for corpus_id in corpora.register_builtins(connection):
                self._scan(connection, corpus_id)

    def _scan(self, connection: sa.Connection, corpus_id: str) -> None:
        self.engine.enqueue(connection, SCAN_WORKFLOW, scan_run_id(corpus_id), SCAN_PRIORITY, corpus_id)


def lacking(asked: int, found: int, unit: str) -> list[Notice]:
    """The warning that less was there than asked for; empty when it was enough."""
    if found >= asked:
        return []
    return [Notice(code=f"fewer_{unit}", message=f"{asked} {unit} were asked for; the corpus gives {found}")]


def _sha256(content: Any) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()
