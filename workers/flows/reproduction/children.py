"""The jobs of a reproduction's parts, as a client would submit them: each under a key of the reproduction's own.

A replay or a retry finds the job that it submitted before by that key. A training or sweep of an equal spec that has
succeeded is used again; an analysis uses finished activation sets by itself, after it has checked model and corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from dbos import DBOS

from service.artifacts.activation_set import ActivationSet
from service.catalog import activations, jobs
from service.catalog.engine import Catalog
from service.catalog.ownership import project_of_job
from service.contracts.jobs import FINAL_STATES, Job, JobRequest
from service.contracts.reading import read_contract
from service.contracts.specs import read_spec
from service.errors import Cancelled, Conflict, NotFound, RadiusError, Unavailable
from service.jobs.control import PART_OF, JobControl
from service.jobs.engine import JobEngine
from service.jobs.submission import Submission
from service.reproduction.required_jobs import PartJob
from workers.flows.engine.runtime import runtime
from workers.flows.engine.segments import Body
from workers.flows.reproduction.arguments import Ended, PartOutcome, Submitted

_REUSED = ("training", "sweep")
_POLL_S, _RETRY_S = 1.0, 1.0
Answer = TypeVar("Answer")


def submit(job_id: str, retry: int, priority: int, wanted: PartJob) -> PartOutcome:
    """Submit the job of a part, once for a reproduction; an error of the request is the part's, not the report's."""
    recorded = _submit(job_id, retry, priority, wanted)
    submitted = read_contract(Submitted, recorded, prefix="a part's request: ", name_unknown=True)
    return PartOutcome(part=wanted.part, kind=wanted.kind, preset=wanted.preset, **dict(submitted))


def await_end(job_id: str, outcome: PartOutcome) -> PartOutcome:
    """Wait until the job of a part has ended; raises `Cancelled` as soon as the reproduction itself does not run."""
    if outcome.job is None:
        return outcome
    ended = read_contract(Ended, _await(job_id, outcome.job), prefix="a part's end: ", name_unknown=True)
    return outcome.model_copy(update=dict(ended))


@DBOS.step(name="_submit_part")
def _submit(job_id: str, retry: int, priority: int, wanted: PartJob) -> Body:
    key = f"{PART_OF}/{job_id}/{wanted.part}"
    request = JobRequest(kind=wanted.kind, spec=wanted.spec, priority=priority, labels={PART_OF: job_id})
    try:
        submitted = _patiently(lambda: _started(job_id, request, key, retry))
    except RadiusError as error:
        submitted = Submitted(job=None, state="refused", error=error.as_dict())
    return submitted.model_dump(mode="json", exclude_unset=True)


def _started(job_id: str, request: JobRequest, key: str, retry: int) -> Submitted:
    own = _project(job_id)
    with own.catalog.read() as connection:
        mine = jobs.find_by_key(connection, key)
        like = None
        if mine is None and request.kind in _REUSED:
            spec = read_spec(request.kind, request.spec).model_dump(mode="json")
            like = jobs.finished_like(connection, request.kind, spec)
    if like is not None:
        return Submitted(job=like, state="queued", reused=True)
    job = own.submission.submit(request, key)
    if retry and job.state in ("failed", "cancelled"):
        job = own.control.retry(job.id)
    return Submitted(job=job.id, state="queued")


@DBOS.step(name="_await_part")
def _await(job_id: str, part: str) -> Body:
    while True:
        job = _patiently(lambda: _ended(job_id, part))
        if job is not None:
            return Ended(state=job.state, error=job.error, results=job.results).model_dump(mode="json")
        time.sleep(_POLL_S)


def _ended(job_id: str, part: str) -> Job | None:
    current = runtime()
    if current.read(lambda connection: jobs.state(connection, job_id)) != "running":
        _project(job_id).control.cancel_parts(job_id)
        raise Cancelled("the reproduction is no longer running")
    try:
        job = current.read(lambda connection: jobs.get(connection, part))
    except NotFound:
        return _deleted(part)
    return job if job.state in FINAL_STATES else None


def _deleted(part: str) -> Job:
    raise Conflict(f"{part} was deleted while the reproduction waited for it")


@DBOS.step(name="_blocks")
def blocks_of(set_id: str) -> int:
    """Number of blocks of the model, from a set of its last block."""
    current = runtime()
    summary, _ = current.read(lambda connection: activations.get(connection, set_id))
    return int(ActivationSet(current.artifact(set_id), summary.sha256).manifest["layer"]) + 1


def _patiently(work: Callable[[], Answer]) -> Answer:
    """`work` again while the database is away, however long: a reproduction may run for days."""
    while True:
        try:
            return work()
        except Unavailable:
            time.sleep(_RETRY_S)


@dataclass(frozen=True)
class _Project:
    """The project of a reproduction, to which the jobs of its parts belong too."""

    catalog: Catalog
    submission: Submission
    control: JobControl


def _project(job_id: str) -> _Project:
    current = runtime()
    catalog = current.catalog.of(current.read(lambda connection: project_of_job(connection, job_id)))
    submission = Submission(catalog, _engine(), current.settings)
    return _Project(catalog, submission, JobControl(catalog, submission.engine, current.settings))


@cache
def _engine() -> JobEngine:
    return JobEngine(runtime().settings.resolved_database_url)
