"""Segments of a training job: prepare the run, train for a while, finish. Its files are in `artifacts/run-…`.

A run's folder is readable while it grows: every kept model and every view is a folder of its own, renamed into place.
A sweep's runs are the same segments on data that the sweep has made (`arguments["owner"]`).
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
from workers.flows.publishing import collect_leftovers
from workers.flows.runtime import SegmentProgress, runtime
from workers.flows.trainers import keep_trainer, saved_state, trainer_of
from workers.flows.training_data import describe_data, make_task, notes_on, prepare_data, read_training
from workers.flows.training_log import TrainingLog, draw_view
from workers.training.checkpoints import SavedState
from workers.training.ranks import own_ranks

_MOST_REPEATED = 0.01
_GO, _STOP = {"step": True}, {"step": False}
_PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")


def prepare_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Make the data and register the run; returns `{"run", "steps"}`."""
    current, spec, run_id = runtime(), read_training(arguments), derived_id("run", job_id)
    prepare_data(spec, run_id, progress)
    row = run_row(job_id, run_id, run_id, spec, _name(spec))

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.register(connection, row)
        jobs.add_result(connection, job_id, "training", None, run_id)

    current.write(record)
    collect_leftovers(run_id, 0, progress)
    return {"run": run_id, "steps": spec.steps}


def train_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Train until the segment's time is over, the worker stops or the run ends; returns `{"step"}`."""
    current, spec, run_id = runtime(), read_training(arguments), arguments["run"]
    ranks, state = own_ranks(), saved_state(run_id)
    ranks.broadcast(arguments | {"state": None if state is None else asdict(state)})
    try:
        trainer = trainer_of(spec, run_id, arguments["owner"], state)
        log = TrainingLog(run_id, spec, trainer, progress, state)
        began = time.monotonic()
        while trainer.step < spec.steps and not current.draining.is_set():
            ranks.broadcast(_GO)
            log.add(trainer.advance())
            progress(trainer.step - arguments["start"])
            if time.monotonic() - began > current.training_segment_s:
                break
    finally:
        ranks.broadcast(_STOP)
    log.save()
    collect_leftovers(run_id, draw_view(run_id, progress), progress)
    progress(trainer.step - arguments["start"], final=True)
    if not current.draining.is_set():
        keep_trainer(run_id, log.saved, trainer)
    return {"step": trainer.step}


def follow() -> None:
    """What the other ranks of a trainer do: the steps of rank 0, until it ends, and `torchrun` ends them all."""
    ranks = own_ranks()
    while True:
        arguments = ranks.receive()
        state = None if arguments["state"] is None else SavedState(**arguments["state"])
        trainer = trainer_of(read_training(arguments), arguments["run"], arguments["owner"], state)
        while ranks.receive() == _GO:
            with suppress(NonFiniteData):  # rank 0 has met it too, and fails the run
                trainer.advance()


def finish_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Measure what is measured once, at the end; returns `{"kept"}`, the steps of the kept models."""
    current, spec, run_id = runtime(), read_training(arguments), arguments["run"]
    trainer = trainer_of(spec, run_id, arguments["owner"], saved_state(run_id))
    with trainer.autocast():
        evaluation = trainer.task.final()
    if isinstance(spec, OpenELMSpec):
        rows, _ = current.read(lambda connection: catalog.metrics(connection, run_id))
        evaluation |= {"stopping": _stopping(rows, spec.window_steps).model_dump()}

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, run_id, [], evaluation=evaluation, finished_at=now())

    current.write(record)
    kept = current.read(lambda connection: catalog.checkpoints(connection, run_id))
    return {"kept": [checkpoint.step for checkpoint in kept]}


def run_row(
    job_id: str, run_id: str, owner: str, spec: TrainingSpec, name: str, parameters: dict[str, int] | None = None
) -> dict[str, Any]:
    """The catalog's row of a run that is about to begin, on the data that `owner` has."""
    artifact = runtime().artifact(owner)
    described = describe_data(spec, artifact)
    return {
        "id": run_id,
        "job": job_id,
        "name": name,
        "experiment": spec.experiment,
        "spec": spec.model_dump(mode="json"),
        "step": 0,
        "steps": spec.steps,
        "tokens": 0,
        "parameters": parameters or make_task(spec, artifact, torch.device("cpu")).model.parameter_counts(),
        "reference_lines": described["reference_lines"],
        "data": described["data"],
        "losses": {},
        "evaluation": {},
        "warnings": [notice.model_dump() for notice in _warnings(spec, described["data"])],
        "notes": notes_on(spec, described["reference_lines"]),
        "timing": {"train_s": 0.0},
        "provenance": _provenance(spec),
        "created_at": now(),
    }


def _warnings(spec: TrainingSpec, data: dict[str, Any]) -> list[Notice]:
    share = data.get("held_out_in_training") or 0.0
    if share <= _MOST_REPEATED:
        return []
    less = "data.deduplicate leaves repeated paragraphs out"
    if isinstance(spec, OpenELMSpec) and spec.data.deduplicate:
        less = "no paragraph does as a whole"
    message = f"{share:.1%} of the held-out text stands in the training part too; {less}"
    return [Notice(code="held_out_in_training", message=message)]


def _stopping(rows: list[MetricsRow], window: int) -> Stopping:
    """How near the training loss was to the least validation loss, on each side with half a window at least."""
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


def _provenance(spec: TrainingSpec) -> dict[str, Any]:
    device = choose_device(runtime().settings.device)
    return provenance(_PACKAGES, seed=spec.seed, numpy_generator=np.random.PCG64.__name__, **describe_device(device))
