"""The control worker's side of a job: its workflow starts the job, enqueues segments, waits and records the end.

A replay after a crash takes the same steps in the same order: everything that reads or writes is a step with a fixed
name, and segments have ids derived from the job's, so that a replay finds them instead of starting them twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic

from dbos import DBOS, PortableWorkflowError, WorkflowHandle, WorkflowSerializationFormat

from service.catalog import jobs
from service.catalog.engine import Connection
from service.contracts.base import Notice
from service.contracts.jobs import JobKind
from service.contracts.specs import stored_spec
from service.errors import RadiusError, error_from_dict
from service.jobs.engine import COMPUTE_QUEUE, SEGMENT_WORKFLOW, options_for, workflow_id
from workers.flows.engine.runtime import runtime
from workers.flows.engine.segments import Arguments, Body, Result, SegmentKind
from workers.flows.engine.waiting import result_of, results_of

logger = logging.getLogger(__name__)
_MAX_RECOVERY = 1000  # deaths of the control worker never fail a job


@dataclass(frozen=True)
class Pending(Generic[Result]):
    """An enqueued segment."""

    handle: WorkflowHandle[Any]
    read: Callable[[Body], Result]

    @property
    def workflow_id(self) -> str:
        return self.handle.get_workflow_id()

    def result(self) -> Result:
        """Wait for the segment; returns its result or raises its error."""
        return self.read(result_of(self.handle))


@dataclass(frozen=True)
class JobExecution:
    """One execution of a job: the first, or a retry.

    Attributes:
        priority: priority of its segments; lower ones run first.
        retry: number of the retry; 0 for the first execution.
    """

    job_id: str
    priority: int
    retry: int = 0

    @property
    def workflow_id(self) -> str:
        return workflow_id(self.job_id, self.retry)

    def enqueue(
        self,
        kind: SegmentKind[Arguments, Result],
        name: str,
        arguments: Arguments,
        queue: str = COMPUTE_QUEUE,
    ) -> Pending[Result]:
        """Enqueue a segment under an id that a replay finds again; `name` is unique within the job."""
        options = options_for(SEGMENT_WORKFLOW, queue, f"{self.workflow_id}.{name}", self.priority)
        body = arguments.model_dump(mode="json")
        handle = DBOS.enqueue_workflow_with_options(options, self.job_id, name, kind.name, body)
        return Pending(handle, kind.read_result)

    def run(
        self, kind: SegmentKind[Arguments, Result], name: str, arguments: Arguments, queue: str = COMPUTE_QUEUE
    ) -> Result:
        """Enqueue a segment and wait for its result."""
        return self.enqueue(kind, name, arguments, queue).result()


def gather(segments: Sequence[Pending[Result]], beside: Sequence[Pending[Any]] = ()) -> list[Result]:
    """The results of all segments; when one fails, the others and those `beside` are cancelled."""
    try:
        found = results_of([pending.handle for pending in segments])
    except Exception:
        DBOS.cancel_workflows([pending.workflow_id for pending in (*segments, *beside)])
        raise
    return [pending.read(body) for pending, body in zip(segments, found, strict=True)]


def durable(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a durable workflow of the control worker under that name."""
    portable = WorkflowSerializationFormat.PORTABLE
    registered = DBOS.workflow(name=name, max_recovery_attempts=_MAX_RECOVERY, serialization_type=portable)

    def register(work: Callable[..., None]) -> Callable[..., None]:
        @wraps(work)
        def executing(*arguments: Any) -> None:
            with runtime().executing(DBOS.workflow_id):
                work(*arguments)

        return registered(executing)

    return register


def job(kind: JobKind) -> Callable[[Callable[[JobExecution, Any], object]], Callable[..., None]]:
    """Register the workflow of a job kind.

    The decorated function takes the execution and the job's spec, validated by the model of its kind. The job is
    running before it is called; afterwards the job has succeeded, or failed with the error that was raised.
    """

    def register(work: Callable[[JobExecution, Any], object]) -> Callable[..., None]:
        def run_job(job_id: str) -> None:
            started = _start(job_id)
            try:
                spec = stored_spec(kind, started["spec"])
                work(JobExecution(job_id, started["priority"], started["retry"]), spec)
            except Exception as error:  # cancellation and loss of ownership are not of class Exception here
                failure = as_error(error)
                logger.warning("%s failed: %s: %s", job_id, failure.code, failure.detail)
                _finish(job_id, "failed", failure.as_dict())
                raise
            _finish(job_id, "succeeded", None)

        run_job.__doc__ = work.__doc__
        return durable(kind)(run_job)

    return register


@DBOS.step(name="_start")
def _start(job_id: str) -> Body:
    def start(connection: Connection) -> Body:
        jobs.start(connection, job_id)
        found = jobs.get(connection, job_id)
        return {"spec": found.spec, "priority": found.priority, "retry": found.retries}

    return runtime().write(start)


@DBOS.step(name="_set_total")
def set_total(job_id: str, total: int, unit: str, warnings: list[dict[str, str]]) -> None:
    """Record the job's total work, for its progress, and its warnings."""

    def record(connection: Connection) -> None:
        jobs.set_total(connection, job_id, total, unit)
        jobs.warn(connection, job_id, [Notice(**warning) for warning in warnings])

    runtime().write(record)


@DBOS.step(name="_finish")
def _finish(job_id: str, state: str, error: dict[str, str] | None) -> None:
    runtime().write(lambda connection: jobs.finish(connection, job_id, state, error))


def as_error(error: Exception) -> RadiusError:
    """The error of a segment or of this workflow; an error of the job engine itself is `internal`."""
    if isinstance(error, RadiusError):
        return error
    data = error.data if isinstance(error, PortableWorkflowError) else None
    body = (
        data if isinstance(data, dict) else {"code": "internal", "detail": f"a segment ended by {type(error).__name__}"}
    )
    return error_from_dict({key: str(value) for key, value in body.items()})
