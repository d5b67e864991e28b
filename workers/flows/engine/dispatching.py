"""What the workflows of all job kinds share: how a job is begun, planned and ended, and how a segment is enqueued.

A replay after a crash takes the same steps in the same order: everything that reads or writes is a step, under a name
that stays, and segments have ids made from the job's, so that they are found again instead of started twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from dbos import DBOS, PortableWorkflowError, WorkflowHandle, WorkflowSerializationFormat

from service.catalog import jobs
from service.catalog.engine import Connection
from service.errors import RadiusError, error_from_dict
from service.jobs.engine import COMPUTE_QUEUE, SEGMENT_WORKFLOW, options_for, run_id
from service.jobs.submission import lacking
from workers.flows.engine.runtime import runtime
from workers.flows.engine.waiting import results_of

Spec = dict[str, Any]
_MAX_RECOVERY = 1000  # deaths of the control worker never fail a job


def workflow(name: str) -> Callable[..., Any]:
    """A durable workflow of the control worker, under that name."""
    portable = WorkflowSerializationFormat.PORTABLE
    durable = DBOS.workflow(name=name, max_recovery_attempts=_MAX_RECOVERY, serialization_type=portable)

    def register(work: Callable[..., None]) -> Callable[..., None]:
        @wraps(work)
        def known(*arguments: Any) -> None:
            with runtime().at(DBOS.workflow_id):
                work(*arguments)

        return durable(known)

    return register


def guard(job_id: str, work: Callable[[str, Spec], object]) -> None:
    """Start the job, do its work, and record how it ended."""
    spec = _start(job_id)
    try:
        work(job_id, spec)
    except Exception as error:  # being cancelled or losing ownership is no Exception here
        _finish(job_id, "failed", as_error(error).as_dict())
        raise
    _finish(job_id, "succeeded", None)


def segment(job_id: str, name: str, function: str, arguments: Spec, queue: str = COMPUTE_QUEUE) -> WorkflowHandle[Any]:
    """Enqueue a segment of a job, under an id that a replay finds again."""
    parent = run_id(job_id, arguments.get("retry", 0))
    options = options_for(SEGMENT_WORKFLOW, queue, f"{parent}.{name}", arguments["priority"])
    return DBOS.enqueue_workflow_with_options(options, job_id, name, function, arguments)


def gather(handles: Sequence[WorkflowHandle[Any]], beside: Sequence[WorkflowHandle[Any]] = ()) -> list[Any]:
    """What all returned; when one fails, call off the rest and those `beside`, which the engine would let run on."""
    try:
        return results_of(handles)
    except Exception:
        DBOS.cancel_workflows([handle.get_workflow_id() for handle in (*handles, *beside)])
        raise


def shared(spec: Spec) -> Spec:
    """What every segment of a job is enqueued with."""
    return {"priority": spec["priority"], "retry": spec["retry"]}


@DBOS.step(name="_start")
def _start(job_id: str) -> Spec:
    def start(connection: Connection) -> Spec:
        jobs.start(connection, job_id)
        job = jobs.get(connection, job_id)
        return job.spec | {"priority": job.priority, "retry": job.retries}

    return runtime().write(start)


@DBOS.step(name="_plan")
def plan(job_id: str, total: int, unit: str, asked: int, found: int) -> None:
    """How much there is to do, and the warning that the corpus gives less than was asked for."""

    def record(connection: Connection) -> None:
        jobs.plan(connection, job_id, total, unit)
        jobs.warn(connection, job_id, lacking(asked, found, "chunks"))

    runtime().write(record)


@DBOS.step(name="_finish")
def _finish(job_id: str, state: str, error: dict[str, str] | None) -> None:
    runtime().write(lambda connection: jobs.finish(connection, job_id, state, error))


def as_error(error: Exception) -> RadiusError:
    """What a segment said of its failure; the engine's own errors (its limit on restarts) by their name."""
    data = error.data if isinstance(error, PortableWorkflowError) else None
    body = (
        data if isinstance(data, dict) else {"code": "internal", "detail": f"a segment ended by {type(error).__name__}"}
    )
    return error_from_dict({key: str(value) for key, value in body.items()})
