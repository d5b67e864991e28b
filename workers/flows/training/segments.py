"""Segments of a training job: prepare the run, train for a while, finish. Its files are in `artifacts/run-…`.

A run's folder is readable while it grows: every kept model and every view is a folder of its own, renamed into place.
The runs of a sweep are the same segments on data in the sweep's folder (`RunArguments.data`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from service.catalog import jobs
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.base import Notice, now
from service.contracts.sweeps import Stopping, StoppingWindow
from service.contracts.training import MetricsRow, OpenELMSpec, QuestionFormationSpec, TrainingSpec
from service.errors import NonFiniteData
from service.ids import derived_id
from service.provenance import provenance
from service.theory.stopping import stopping_gap
from workers.devices.device import choose_device, describe_device
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.engine.segments import runs
from workers.flows.training.arguments import (
    FINISH,
    PREPARE,
    TRAIN,
    FinishedRun,
    PrepareArguments,
    PreparedRun,
    RunArguments,
    TrainArguments,
    TrainedTo,
)
from workers.flows.training.data import describe_data, make_task, notes_on, prepare_data
from workers.flows.training.log import TrainingLog, draw_view
from workers.flows.training.superseded import remove_superseded
from workers.flows.training.trainers import keep_trainer, saved_state, trainer_of
from workers.training.checkpoints import SavedState
from workers.training.ranks import own_ranks
from workers.training.seeding import SEEDING

_MOST_REPEATED = 0.01
_GO, _STOP = {"step": True}, {"step": False}
_PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")


@runs(PREPARE)
def prepare_run(arguments: PrepareArguments, owner: SegmentOwner) -> PreparedRun:
    """Make the data and register the run."""
    spec, run_id = arguments.spec, derived_id("run", owner.job_id)
    prepare_data(spec, run_id, owner)
    run = RunArguments(spec=spec, run=run_id, data=run_id)
    row = run_row(owner, run, _name(spec))

    def record(connection: Connection) -> None:
        catalog.register(connection, row)
        jobs.add_result(connection, owner.job_id, "training", None, run_id)

    owner.record(record)
    return PreparedRun(run=run_id)


@runs(TRAIN)
def train_run(arguments: TrainArguments, owner: SegmentOwner) -> TrainedTo:
    """Train until the segment's time is over, the worker stops or the run ends."""
    current, ranks, state = owner.runtime, own_ranks(), saved_state(owner.runtime, arguments.run)
    ranks.broadcast(arguments.model_dump(mode="json") | {"state": None if state is None else asdict(state)})
    try:
        trainer = trainer_of(current, arguments, state)
        log = TrainingLog(arguments.run, arguments.spec, trainer, owner, state)
        _make_steps(arguments, log, owner)
    finally:
        ranks.broadcast(_STOP)
    log.save()
    draw_view(arguments.run, owner)
    owner.progress(trainer.step - arguments.start, final=True)
    if not current.draining.is_set():
        keep_trainer(arguments.run, log.saved, trainer)
    return TrainedTo(step=trainer.step)


def _make_steps(arguments: TrainArguments, log: TrainingLog, owner: SegmentOwner) -> None:
    current, trainer, began = owner.runtime, log.trainer, time.monotonic()
    try:
        while trainer.step < arguments.spec.steps and not current.draining.is_set():
            trainer.ranks.broadcast(_GO)
            log.add(trainer.advance())
            owner.progress(trainer.step - arguments.start)
            if time.monotonic() - began > current.training_segment_s:
                break
    except NonFiniteData as error:
        raise _diverged(error, log, owner) from error


def _diverged(error: NonFiniteData, log: TrainingLog, owner: SegmentOwner) -> NonFiniteData:
    """The error of a run whose losses are no longer finite, after its curve and the weights before are published."""
    step = log.end_diverged()
    draw_view(log.run_id, owner)
    kept = "no model was kept" if step is None else f"run:{log.run_id}@{step} has the weights before"
    return NonFiniteData(f"{error.detail}; {kept}")


def follow(current: Runtime) -> None:
    """The loop of the other ranks of a trainer: the steps of rank 0, until `torchrun` ends all ranks."""
    ranks = own_ranks()
    while True:
        body = ranks.receive()
        state = None if (saved := body.pop("state")) is None else SavedState(**saved)
        trainer = trainer_of(current, TrainArguments.model_validate(body), state)
        while ranks.receive() == _GO:
            with suppress(NonFiniteData):  # rank 0 meets it too, and fails the run
                trainer.advance()


@runs(FINISH)
def finish_run(arguments: RunArguments, owner: SegmentOwner) -> FinishedRun:
    """Measure what is measured once, at the end."""
    current, spec, run_id = owner.runtime, arguments.spec, arguments.run
    remove_superseded(run_id, spec, spec.steps, owner)
    trainer = trainer_of(current, arguments, saved_state(current, run_id))
    with trainer.autocast():
        evaluation = trainer.task.final()
    if isinstance(spec, OpenELMSpec):
        rows, _ = current.read(lambda connection: catalog.metrics(connection, run_id))
        evaluation |= {"stopping": _stopping(rows, spec.window_steps).model_dump()}
    owner.record(lambda connection: catalog.record(connection, run_id, [], evaluation=evaluation, finished_at=now()))
    kept = current.read(lambda connection: catalog.checkpoints(connection, run_id))
    return FinishedRun(kept=[checkpoint.step for checkpoint in kept])


def run_row(
    owner: SegmentOwner, run: RunArguments, name: str, parameters: dict[str, int] | None = None
) -> dict[str, Any]:
    """The catalog's row of a run that is about to begin on prepared data.

    Args:
        parameters: the model's counts, where they are known already.
    """
    spec, artifact = run.spec, owner.runtime.artifact(run.data)
    described = describe_data(spec, artifact)
    return {
        "id": run.run,
        "job": owner.job_id,
        "name": name,
        "experiment": spec.experiment,
        "spec": spec.model_dump(mode="json"),
        "step": 0,
        "steps": spec.steps,
        "tokens": 0,
        "parameters": parameters or make_task(spec, artifact, torch.device("cpu")).model.parameter_counts(),
        "reference_lines": described.reference_lines,
        "data": described.data,
        "losses": {},
        "evaluation": {},
        "warnings": [notice.model_dump() for notice in _warnings(spec, described.held_out_in_training)],
        "notes": notes_on(spec, described.reference_lines),
        "timing": {"train_s": 0.0},
        "provenance": _provenance(spec, owner.runtime),
        "created_at": now(),
    }


def _warnings(spec: TrainingSpec, share: float) -> list[Notice]:
    """A warning of the share of held-out text that stands in the training part too."""
    if share <= _MOST_REPEATED:
        return []
    less = "data.deduplicate leaves repeated paragraphs out"
    if isinstance(spec, OpenELMSpec) and spec.data.deduplicate:
        less = "no paragraph does as a whole"
    message = f"{share:.1%} of the held-out text stands in the training part too; {less}"
    return [Notice(code="held_out_in_training", message=message)]


def _stopping(rows: list[MetricsRow], window: int) -> Stopping:
    """The gap of the training loss to the least validation loss, on each side that has half a window at least."""
    seen = [(row.step, row.val_loss) for row in rows if row.val_loss is not None]
    train, validation = [(row.step, row.train_loss) for row in rows], list(zip(*seen, strict=True))
    least, step = min((loss, step) for step, loss in seen)
    there = {"before": step, "after": rows[-1].step - step}
    sides: dict[str, StoppingWindow | None] = {}
    for side in ("before", "after"):
        sides[side] = None
        if there[side] >= window / 2:  # a shorter stretch is another quantity
            gap = asdict(stopping_gap(*zip(*train, strict=True), *validation, window=window, side=side))
            sides[side] = StoppingWindow(**{name: gap[name] for name in StoppingWindow.model_fields})
    return Stopping(step=step, min_val_loss=least, **sides)


def _name(spec: TrainingSpec) -> str:
    if spec.preset is not None:
        return spec.preset
    if isinstance(spec, QuestionFormationSpec):
        return f"question formation, {spec.model.n_layers} layers of {spec.model.d_model}"
    return f"OpenELM, {len(spec.model.d_mlp)} layers of {spec.model.d_model} on {spec.data.corpus}"


def _provenance(spec: TrainingSpec, current: Runtime) -> dict[str, Any]:
    device = choose_device(current.settings.device)
    drawn = {"seed": spec.seed, "seeding": SEEDING, "numpy_generator": np.random.PCG64.__name__}
    return provenance(_PACKAGES, **drawn, **describe_device(device))
