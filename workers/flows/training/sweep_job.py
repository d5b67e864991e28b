"""The workflow of a sweep job, a grid of training runs, and the workflow of each of its runs."""

from __future__ import annotations

from typing import Any

from dbos import DBOS, WorkflowHandle

from service.catalog import training as catalog
from service.contracts.sweeps import SweepSpec
from service.errors import Cancelled, Superseded
from service.jobs.engine import RUN_WORKFLOW, RUNS_QUEUE, options_for
from workers.flows.engine.dispatching import JobExecution, as_error, durable, job, set_total
from workers.flows.engine.runtime import runtime
from workers.flows.engine.segments import Body
from workers.flows.engine.waiting import result_of
from workers.flows.training.arguments import (
    PREPARE_SWEEP,
    TABULATE,
    PrepareSweepArguments,
    RunArguments,
    TabulateArguments,
)
from workers.flows.training.job import after_other_jobs, train


@job("sweep")
def sweep(execution: JobExecution, spec: SweepSpec) -> None:
    """A grid of training runs, and the table of them.

    Runs go on side by side where there are workers for them, the first ones first; one that fails stops no other.
    """
    execution = after_other_jobs(execution)
    prepared = execution.run(PREPARE_SWEEP, "prepare", PrepareSweepArguments(spec=spec))
    set_total(execution.job_id, sum(arguments.spec.steps for arguments in prepared.runs), "steps", [])
    handles = [_enqueue_run(execution, position, arguments) for position, arguments in enumerate(prepared.runs)]
    failures = [error for error in map(_failure, handles) if error is not None]
    execution.run(TABULATE, "tabulate", TabulateArguments(last=True))
    if failures:
        raise failures[0]


@durable(RUN_WORKFLOW)
def sweep_run(job_id: str, position: int, priority: int, retry: int, body: Body) -> None:
    """One run of a sweep; the table is made again when it has ended."""
    execution, arguments = JobExecution(job_id, priority, retry), RunArguments.model_validate(body)
    try:
        train(execution, arguments, f"{position:04d}-")
    except Exception as error:
        known = as_error(error)
        if not isinstance(known, Cancelled | Superseded):
            _record_failure(arguments.run, known.as_dict())
        raise
    execution.run(TABULATE, f"{position:04d}-tabulate", TabulateArguments(last=False))


@DBOS.step(name="_record_failure")
def _record_failure(run_id: str, error: dict[str, str]) -> None:
    runtime().write(lambda connection: catalog.fail(connection, run_id, error))


def _enqueue_run(execution: JobExecution, position: int, arguments: RunArguments) -> WorkflowHandle[Any]:
    priority = execution.priority + position
    options = options_for(RUN_WORKFLOW, RUNS_QUEUE, f"{execution.workflow_id}.run-{position:04d}", priority)
    body = arguments.model_dump(mode="json")
    return DBOS.enqueue_workflow_with_options(options, execution.job_id, position, priority, execution.retry, body)


def _failure(handle: WorkflowHandle[Any]) -> Exception | None:
    try:
        result_of(handle)
    except Cancelled:  # the whole sweep was deleted
        raise
    except Exception as error:
        return error
    return None
