"""The one workflow that every segment is: it looks its function up by name and runs it as one durable step.

A segment may run again from its start after its worker died, so every function here is idempotent: it looks for its
own files first and writes them atomically.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from dbos import DBOS, PortableWorkflowError, WorkflowSerializationFormat

from service.catalog import errands, segments
from service.catalog.engine import Connection
from service.errors import RadiusError, Superseded
from service.jobs.engine import SEGMENT_WORKFLOW
from workers.devices.memory import free_memory
from workers.flows.calibrations.measure import calibrate_device
from workers.flows.energy.report import evaluate_energies
from workers.flows.engine.runtime import SegmentProgress, runtime
from workers.flows.extraction.sample import sample_chunks
from workers.flows.extraction.shards import extract_shard, publish_sets
from workers.flows.radius.parts import count_one_part, draw_null, plan_parts, search_one_part
from workers.flows.radius.report import measure_radius
from workers.flows.scans.count import scan_corpus
from workers.flows.training.segments import finish_run, prepare_run, train_run
from workers.flows.training.sweep import prepare_sweep, tabulate_sweep
from workers.flows.training.trajectory import measure_kept

logger = logging.getLogger(__name__)
Arguments = dict[str, Any]
Segment = Callable[[str, Arguments, SegmentProgress], Arguments]

SEGMENTS: dict[str, Segment] = {
    "sample": sample_chunks,
    "extract": extract_shard,
    "publish": publish_sets,
    "split": plan_parts,
    "search": search_one_part,
    "count": count_one_part,
    "null": draw_null,
    "radius": measure_radius,
    "energy": evaluate_energies,
    "prepare": prepare_run,
    "train": train_run,
    "finish": finish_run,
    "trajectory": measure_kept,
    "prepare_sweep": prepare_sweep,
    "tabulate": tabulate_sweep,
}
ERRANDS: dict[str, Callable[[Arguments], Arguments]] = {"scan": scan_corpus, "calibrate": calibrate_device}


@DBOS.workflow(name=SEGMENT_WORKFLOW, max_recovery_attempts=20, serialization_type=WorkflowSerializationFormat.PORTABLE)
def segment(job_id: str, name: str, function: str, arguments: Arguments) -> Arguments:
    """Run one segment of a job; its result is a small reference, never data."""
    current = runtime()
    current.working.set()
    try:
        with current.at(DBOS.workflow_id):
            return _run(job_id, name, function, arguments)
    finally:
        current.working.clear()


@DBOS.step(name="run")
def _run(job_id: str, name: str, function: str, arguments: Arguments) -> Arguments:
    while True:
        outcome = _outcome(job_id, name, function, arguments)
        if not isinstance(outcome, PortableWorkflowError):
            return outcome
        free_memory()  # outside the handling of the error, whose traceback would keep what the segment held
        if outcome.name != Superseded.code or not _is_ours():
            raise outcome
        # One that froze before it had claimed the segment woke up, and counted as the later owner for a moment.


def _outcome(job_id: str, name: str, function: str, arguments: Arguments) -> Arguments | PortableWorkflowError:
    try:
        return _owned(job_id, name, function, arguments)
    except RadiusError as error:
        logger.warning("segment %s of %s failed: %s", name, job_id, error.code)
        return PortableWorkflowError(error.detail, error.code, data={**error.as_dict()})
    except Exception as error:
        logger.exception("segment %s of %s failed unexpectedly", name, job_id)
        detail = f"unexpected {type(error).__name__} in segment {name}; the worker's log has the trace"
        return PortableWorkflowError(detail, "internal", data={"code": "internal", "detail": detail})


def _owned(job_id: str, name: str, function: str, arguments: Arguments) -> Arguments:
    """Run a segment as its owner; what belongs to no job has none, but a count of its deaths."""
    current = runtime()
    if function in ERRANDS:
        current.write(partial(errands.begin, name=job_id, worker=current.worker))
        try:
            return ERRANDS[function](arguments)
        finally:
            current.write(partial(errands.end, name=job_id))

    def claim(connection: Connection) -> int:
        if not _is_ours():  # asked again when the database was away
            raise Superseded(f"segment {name} has another owner")
        return segments.claim(connection, job_id=job_id, name=name, stage=function, worker=current.worker)

    attempt = current.write(claim)
    try:
        return SEGMENTS[function](job_id, arguments, SegmentProgress(job_id, name, attempt))
    finally:
        current.write(partial(segments.release, job_id=job_id, name=name, attempt=attempt))


def _is_ours() -> bool:
    """Whether the engine has given this workflow to this worker, to no other one since, and wants it done."""
    assert DBOS.workflow_id is not None
    status = DBOS.get_workflow_status(DBOS.workflow_id)
    return status is not None and status.status == "PENDING" and status.executor_id == runtime().worker
