"""Taking in a job: validate, check what it refers to, then one transaction for our row and the queue's."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from service.artifacts.manifest import canonical_json
from service.catalog import activations, corpora, jobs, training
from service.catalog.engine import Catalog, DuplicateKey
from service.contracts.activations import ActivationSummary
from service.contracts.base import Notice
from service.contracts.corpora import CorpusSource
from service.contracts.energy import EnergySpec
from service.contracts.extraction import ExtractionSpec
from service.contracts.jobs import Job, JobRequest, JobSpec
from service.contracts.presets import read_spec
from service.contracts.radius import RadiusSpec
from service.contracts.run_models import RunModel, parse_run_model
from service.contracts.sweeps import SweepSpec
from service.contracts.training import OpenELMSpec, QuestionFormationSpec, TrainingSpec
from service.errors import Conflict, InvalidInput, NotFound, TooLarge
from service.ids import new_id
from service.jobs.engine import SCAN_WORKFLOW, JobEngine, scan_run_id
from service.paths import leaves_root
from service.settings import Settings

SCAN_PRIORITY = 1


class Submission:
    """Accepts jobs and corpora; what it has accepted is committed and will run."""

    def __init__(self, catalog: Catalog, engine: JobEngine, settings: Settings) -> None:
        self.catalog, self.engine, self.settings = catalog, engine, settings

    def submit(self, request: JobRequest, key: str | None = None) -> Job:
        """Accept a job; a second one under the same idempotency key is the first.

        Raises:
            InvalidInput, NotAvailable: the request cannot be served; nothing was kept.
            TooLarge: more chunks than the limit.
            Conflict: the key was used for another request.
        """
        spec = self._name_step(read_spec(request.kind, request.spec))
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

    def _name_step(self, spec: JobSpec) -> JobSpec:
        """An extraction from a run's newest kept model names its step from now on."""
        if not isinstance(spec, ExtractionSpec):
            return spec
        try:
            named = parse_run_model(spec.model)
            if named is None:
                return spec
            with self.catalog.read() as connection:
                kept = [checkpoint.step for checkpoint in training.checkpoints(connection, named.run)]
        except InvalidInput as error:
            raise InvalidInput(error.detail, field="spec.model") from error
        if not kept or (named.step is not None and named.step not in kept):
            raise InvalidInput("the run has kept no such model; GET /v1/training/{id} lists them", field="spec.model")
        return spec.model_copy(update={"model": str(RunModel(named.run, named.step or kept[-1]))})

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
            self._check_references(connection, spec)
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

    def _check_references(self, connection: sa.Connection, spec: JobSpec) -> None:
        try:
            if isinstance(spec, RadiusSpec):
                self._check_sets(connection, spec)
            elif isinstance(spec, EnergySpec):
                self._check_layers(connection, spec)
            elif isinstance(spec, QuestionFormationSpec | OpenELMSpec):
                self._check_training(connection, spec, "spec.")
            elif isinstance(spec, SweepSpec):
                self._check_training(connection, next(spec.runs()).spec, "spec.training.")
            else:
                self._check_extraction(connection, spec)
        except NotFound as error:
            raise InvalidInput(error.detail, field=f"spec.{error.field}") from error

    def _check_layers(self, connection: sa.Connection, spec: EnergySpec) -> None:
        if not spec.activations:
            return
        sets = [activations.get(connection, set_id)[0] for set_id in spec.activations]
        if len({found.d_model for found in sets}) > 1:
            raise InvalidInput("the sets must have one d_model", field="spec.activations")
        if spec.queries is None:
            if len({found.n for found in sets}) > 1:
                raise InvalidInput("layers over the same chunks have equally many rows", field="spec.activations")
            if sets[0].n < 2:
                raise InvalidInput("a row has no other pattern; two rows are needed", field="spec.activations")
            return
        _check_width(_set_in(connection, spec.queries, "spec.queries"), sets[0], "queries", "spec.queries")

    def _check_sets(self, connection: sa.Connection, spec: RadiusSpec) -> None:
        queries, _ = activations.get(connection, spec.activations)
        if spec.reference is None:
            return
        _check_width(_set_in(connection, spec.reference, "spec.reference"), queries, "reference", "spec.reference")

    def _check_extraction(self, connection: sa.Connection, spec: ExtractionSpec) -> None:
        if spec.chunks > self.settings.max_chunks:
            raise TooLarge(f"at most {self.settings.max_chunks} chunks per job (max_chunks)", field="spec.chunks")
        if isinstance(spec.position, int) and spec.position >= spec.chunk_tokens:
            raise InvalidInput("position must lie within the chunk", field="spec.position")
        if leaves_root(spec.model):
            raise InvalidInput("a model is a hub id or a folder under the models root", field="spec.model")
        _check_corpus(connection, spec.corpus, "spec.corpus")

    def _check_training(self, connection: sa.Connection, spec: TrainingSpec, prefix: str) -> None:
        if isinstance(spec, OpenELMSpec):
            _check_corpus(connection, spec.data.corpus, f"{prefix}data.corpus")
            if leaves_root(spec.data.tokenizer):
                detail = "a tokenizer is a hub id or a folder under the models root"
                raise InvalidInput(detail, field=f"{prefix}data.tokenizer")
        elif spec.data.folder is not None and leaves_root(spec.data.folder):
            raise InvalidInput("a folder is one under the corpora root", field=f"{prefix}data.folder")


def lacking(asked: int, found: int, unit: str) -> list[Notice]:
    """The warning that less was there than asked for; empty when it was enough."""
    if found >= asked:
        return []
    return [Notice(code=f"fewer_{unit}", message=f"{asked} {unit} were asked for; the corpus gives {found}")]


def _check_corpus(connection: sa.Connection, name: str, field: str) -> None:
    try:
        corpus = corpora.find(connection, name)
    except NotFound as error:
        raise InvalidInput(error.detail, field=field) from error
    if corpus.state == "failed":
        raise InvalidInput("this corpus could not be read; GET /v1/corpora/{id} says why", field=field)


def _set_in(connection: sa.Connection, set_id: str, field: str) -> ActivationSummary:
    """The set that a field names; raises `InvalidInput` with the field where there is none."""
    try:
        return activations.get(connection, set_id)[0]
    except NotFound as error:
        raise InvalidInput(error.detail, field=field) from error


def _check_width(other: ActivationSummary, first: ActivationSummary, name: str, field: str) -> None:
    if other.d_model != first.d_model:
        verb = "have" if name.endswith("s") else "has"
        detail = f"the {name} {verb} d_model {other.d_model}, the activations {first.d_model}"
        raise InvalidInput(detail, field=field)


def _sha256(content: Any) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()
