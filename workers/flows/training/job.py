"""The workflows of trainings and of sweeps; like those of other jobs they run on the control worker, without torch."""

from __future__ import annotations

from typing import Any

from dbos import DBOS, WorkflowHandle

from service.catalog import workers
from service.errors import Cancelled
from service.jobs.engine import COMPUTE_QUEUE, RUN_WORKFLOW, RUNS_QUEUE, TRAIN_QUEUE, options_for, run_id
from workers.flows.engine.dispatching import Spec, guard, plan, segment, shared, workflow
from workers.flows.engine.runtime import runtime
from workers.flows.engine.waiting import result_of

_TRAINING_WAITS = 1000  # a training's segments come after those of every other job


@workflow("training")
def training(job_id: str) -> None:
    """A training run: prepared, then trained by one segment after another, then measured."""
    guard(job_id, _train)


@workflow("sweep")
def sweep(job_id: str) -> None:
    """A grid of training runs, and the table of them."""
    guard(job_id, _sweep)


@workflow(RUN_WORKFLOW)
def run(job_id: str, position: int, spec: Spec) -> None:
    """One run of a sweep; the table is made again when it has ended."""
    _train_run(job_id, spec, f"{position:04d}-")
    result_of(segment(job_id, f"{position:04d}-tabulate", "tabulate", shared(spec) | {"last": False}))


def _train(job_id: str, spec: Spec) -> None:
    spec = spec | {"priority": spec["priority"] + _TRAINING_WAITS}
    prepared = result_of(segment(job_id, "prepare", "prepare", spec))
    plan(job_id, prepared["steps"], "steps", 0, 0)
    spec |= {"run": prepared["run"], "owner": prepared["run"]}
    kept = _train_run(job_id, spec)
    if spec["radius"] is not None:
        for step in kept:
            result_of(segment(job_id, f"trajectory-{step:08d}", "trajectory", spec | {"step": step}))


def _train_run(job_id: str, spec: Spec, prefix: str = "") -> list[int]:
    """Each segment says how far it came; a trainer, where one lives, has a device of its own for them.

    Returns:
        The steps of the kept models.
    """
    step = part = 0
    while step < spec["steps"]:
        queue = TRAIN_QUEUE if _trainer_lives() else COMPUTE_QUEUE
        arguments = spec | {"start": step}
        step = result_of(segment(job_id, f"{prefix}train-{part:05d}", "train", arguments, queue))["step"]
        part += 1
    return result_of(segment(job_id, f"{prefix}finish", "finish", spec))["kept"]


def _sweep(job_id: str, spec: Spec) -> None:
    """Runs go on side by side where there are workers for them, the first ones first; one that fails stops no other."""
    spec = spec | {"priority": spec["priority"] + _TRAINING_WAITS}
    prepared = result_of(segment(job_id, "prepare", "prepare_sweep", spec))
    owned = {"owner": prepared["sweep"], "retry": spec["retry"]}
    plan(job_id, sum(given["steps"] for given in prepared["runs"]), "steps", 0, 0)
    handles = []
    for position, given in enumerate(prepared["runs"]):
        arguments = given | owned | {"priority": spec["priority"] + position}
        parent = run_id(job_id, spec["retry"])
        options = options_for(RUN_WORKFLOW, RUNS_QUEUE, f"{parent}.run-{position:04d}", arguments["priority"])
        handles.append(DBOS.enqueue_workflow_with_options(options, job_id, position, arguments))
    failures = [error for error in map(_failure, handles) if error is not None]
    result_of(segment(job_id, "tabulate", "tabulate", shared(spec) | {"last": True}))
    if failures:
        raise failures[0]


def _failure(handle: WorkflowHandle[Any]) -> Exception | None:
    try:
        result_of(handle)
    except Cancelled:  # the whole sweep was deleted
        raise
    except Exception as error:
        return error
    return None


@DBOS.step(name="_trainer_lives")
def _trainer_lives() -> bool:
    current = runtime()
    return current.read(lambda connection: workers.any_alive(connection, "train-", current.settings.lease_s))
