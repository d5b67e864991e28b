"""The one workflow that runs every segment, as one durable step, on a compute worker."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dbos import DBOS, PortableWorkflowError, WorkflowSerializationFormat

from service.catalog import background_tasks, segments
from service.catalog.engine import Connection
from service.errors import Cancelled, InvalidInput, RadiusError, Superseded
from service.jobs.engine import SEGMENT_WORKFLOW
from service.processes import DEVICE_LOST
from workers.devices.device import choose_device, use_device
from workers.devices.health import is_alive
from workers.devices.memory import free_memory, memory_errors_typed, release_caches
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime, runtime
from workers.flows.engine.segments import Body, is_unowned, run_owned, run_unowned

logger = logging.getLogger(__name__)


@DBOS.workflow(name=SEGMENT_WORKFLOW, max_recovery_attempts=20, serialization_type=WorkflowSerializationFormat.PORTABLE)
def segment(job_id: str, name: str, kind: str, arguments: Body) -> Body:
    """Run one segment of a job; its result is a small reference, never data."""
    current = runtime()
    current.busy.set()
    try:
        with current.executing(DBOS.workflow_id):
            return _run(job_id, name, kind, arguments)
    finally:
        current.busy.clear()


@DBOS.step(name="run")
def _run(job_id: str, name: str, kind: str, arguments: Body) -> Body:
    while True:
        outcome = _outcome(job_id, name, kind, arguments)
        runtime().ended[_end_of(outcome)] += 1
        if not isinstance(outcome, PortableWorkflowError):
            return outcome
        free_memory()  # outside the except block, whose traceback would keep the segment's memory
        if outcome.name != Superseded.code or not _is_assigned_here(runtime()):
            raise outcome
        # A replaced worker that had not yet claimed the segment resumed and claimed it briefly: claim it again.


def _end_of(outcome: Body | PortableWorkflowError) -> str:
    """done, failed, or stopped: the job was cancelled, or another worker owns the segment."""
    if not isinstance(outcome, PortableWorkflowError):
        return "done"
    return "stopped" if outcome.name in (Cancelled.code, Superseded.code) else "failed"


def _outcome(job_id: str, name: str, kind: str, arguments: Body) -> Body | PortableWorkflowError:
    try:
        use_device(choose_device(runtime().settings.device))  # of this thread; the engine may use another for each
        release_caches(kind)
        if is_unowned(kind):
            return _run_background_task(runtime(), job_id, kind, arguments)
        return _run_owned(runtime(), job_id, name, kind, arguments)
    except RadiusError as error:
        # What is wrong with the input fails the job, whose end is logged.
        known = isinstance(error, InvalidInput) and not is_unowned(kind)
        logger.log(
            logging.DEBUG if known else logging.WARNING,
            "segment %s of %s failed: %s: %s",
            name,
            job_id,
            error.code,
            error.detail,
        )
        return PortableWorkflowError(error.detail, error.code, data={**error.as_dict()})
    except Exception as error:
        logger.exception("segment %s of %s failed unexpectedly", name, job_id)
        detail = f"unexpected {type(error).__name__} in segment {name}; the worker's log has the trace"
        return PortableWorkflowError(detail, "internal", data={"code": "internal", "detail": detail})


def _run_background_task(current: Runtime, task: str, kind: str, arguments: Body) -> Body:
    """Run what belongs to no job; its deaths are counted under its name."""
    current.write(partial(background_tasks.begin, name=task, worker=current.worker))
    try:
        with memory_errors_typed(), _lost_device_ends(current):
            return run_unowned(kind, arguments, current)
    finally:
        current.write(partial(background_tasks.end, name=task))


def _run_owned(current: Runtime, job_id: str, name: str, kind: str, arguments: Body) -> Body:
    """Claim the segment, run it as its owner, release it."""

    def claim(connection: Connection) -> int:
        if not _is_assigned_here(current):  # checked again after an outage of the database
            raise Superseded(f"segment {name} has another owner")
        return segments.claim(connection, job_id=job_id, name=name, stage=kind, worker=current.worker)

    attempt = current.write(claim)
    try:
        with memory_errors_typed(), _lost_device_ends(current):
            return run_owned(kind, arguments, SegmentOwner(current, job_id, name, attempt))
    finally:
        current.write(partial(segments.release, job_id=job_id, name=name, attempt=attempt))


@contextmanager
def _lost_device_ends(current: Runtime) -> Iterator[None]:
    """End this process when an unexpected error has left its device unusable: every later segment would fail too.

    The supervisor starts it anew, and it takes the segment up again. The end counts as a death of the segment, which is
    poison if it loses the device again and again.
    """
    try:
        yield
    except RadiusError:
        raise
    except Exception:
        if is_alive(choose_device(current.settings.device)):
            raise
        logger.exception("the device is lost; this process ends, and the segment is run again")
        logging.shutdown()
        os._exit(DEVICE_LOST)


def _is_assigned_here(current: Runtime) -> bool:
    """Whether the job engine has this workflow pending on this worker."""
    assert DBOS.workflow_id is not None
    status: Any = DBOS.get_workflow_status(DBOS.workflow_id)
    return status is not None and status.status == "PENDING" and status.executor_id == current.worker
