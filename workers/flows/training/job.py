"""The workflow of a training job: prepare the run, train it segment by segment, finish, measure the radius."""

from __future__ import annotations

from dataclasses import replace

from dbos import DBOS

from service.catalog import workers
from service.contracts.training import TrainingSpec
from service.jobs.engine import COMPUTE_QUEUE, TRAIN_QUEUE
from workers.flows.engine.dispatching import JobExecution, job, set_total
from workers.flows.engine.runtime import runtime
from workers.flows.training.arguments import (
    FINISH,
    PREPARE,
    TRAIN,
    TRAJECTORY,
    PrepareArguments,
    RunArguments,
    TrainArguments,
    TrajectoryArguments,
)

_LATER = 1000  # added to the priority: segments of trainings come after those of every other job


@job("training")
def training(execution: JobExecution, spec: TrainingSpec) -> None:
    """A training run: prepared, then trained by one segment after another, then measured."""
    execution = after_other_jobs(execution)
    prepared = execution.run(PREPARE, "prepare", PrepareArguments(spec=spec))
    set_total(execution.job_id, spec.steps, "steps", [])
    arguments = RunArguments(spec=spec, run=prepared.run, data=prepared.run)
    kept = train(execution, arguments)
    if spec.radius is not None:
        for step in kept:
            execution.run(TRAJECTORY, f"trajectory-{step:08d}", TrajectoryArguments(**dict(arguments), step=step))


def after_other_jobs(execution: JobExecution) -> JobExecution:
    """The execution at the priority of trainings."""
    return replace(execution, priority=execution.priority + _LATER)


def train(execution: JobExecution, arguments: RunArguments, prefix: str = "") -> list[int]:
    """Train a prepared run to its end; returns the steps of the kept models.

    Each segment returns the step it has reached. A trainer, while one is alive, has a device of its own for them.
    """
    step = part = 0
    while step < arguments.spec.steps:
        queue = TRAIN_QUEUE if _is_trainer_alive() else COMPUTE_QUEUE
        name = f"{prefix}train-{part:05d}"
        step = execution.run(TRAIN, name, TrainArguments(**dict(arguments), start=step), queue).step
        part += 1
    return execution.run(FINISH, f"{prefix}finish", arguments).kept


@DBOS.step(name="_trainer_lives")
def _is_trainer_alive() -> bool:
    current = runtime()
    return current.read(lambda connection: workers.any_alive(connection, "train-", current.settings.lease_s))
