"""Segments of a training job: prepare the run, train for a while, finish. Its files are in `artifacts/run-…`.

A run's folder is readable while it grows: every kept model and every figure is a folder of its own, renamed into place.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.artifacts.atomic import write_bytes
from service.artifacts.manifest import canonical_json
from service.catalog import corpora, jobs
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.base import now
from service.contracts.training import EXPERIMENTS, QuestionFormationSpec, TrainingSpec
from service.ids import derived_id
from service.provenance import provenance
from workers.corpora.sources import read_documents
from workers.devices.device import choose_device, describe_device
from workers.flows.runtime import Runtime, SegmentProgress, runtime
from workers.flows.training_log import TrainingLog, collect_leftovers, draw_view
from workers.models.loading import load_tokenizer
from workers.training import sentences, windows
from workers.training.checkpoints import load_state, save_state
from workers.training.loop import Experiment, Trainer, TrainingConfig
from workers.training.sentences import SentenceTask, prepare_sentences
from workers.training.windows import WindowTask, prepare_windows

BYTES = "bytes"
_PREPARED = "prepared.json"
_PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")


def prepare_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Make the data and register the run; returns `{"run", "steps"}`."""
    current, spec, run_id = runtime(), _spec(arguments), derived_id("run", job_id)
    folder = current.artifact(run_id)
    if not (folder / _PREPARED).exists():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        write_bytes(folder / _PREPARED, canonical_json(_prepare(spec, folder / "data", current)))
    prepared = json.loads((folder / _PREPARED).read_bytes())
    task = _task(spec, folder / "data", torch.device("cpu"))
    row = {
        "id": run_id,
        "job": job_id,
        "name": _name(spec),
        "experiment": spec.experiment,
        "spec": spec.model_dump(mode="json"),
        "step": 0,
        "steps": spec.steps,
        "tokens": 0,
        "parameters": task.model.parameter_counts(),
        "reference_lines": prepared["reference_lines"],
        "data": prepared["data"],
        "losses": {},
        "evaluation": {},
        "warnings": [],
        "notes": sentences.NOTES if isinstance(spec, QuestionFormationSpec) else windows.NOTES,
        "timing": {"train_s": 0.0},
        "provenance": _provenance(spec),
        "created_at": now(),
    }

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.register(connection, row)
        jobs.add_result(connection, job_id, "training", None, run_id)

    current.write(record)
    return {"run": run_id, "steps": spec.steps}


def train_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Train until the segment's time is over, the worker stops or the run ends; returns `{"step"}`."""
    current, spec, run_id = runtime(), _spec(arguments), derived_id("run", job_id)
    trainer = _trainer(spec, run_id)
    log = TrainingLog(run_id, spec, trainer, progress)
    began = time.monotonic()
    while trainer.step < spec.steps and not current.draining.is_set():
        log.add(trainer.advance())
        progress(trainer.step - arguments["start"])
        if time.monotonic() - began > current.settings.training_segment_s:
            break
    log.flush()
    save_state(current.artifact(run_id), trainer)
    draw_view(run_id, trainer.step, progress)
    collect_leftovers(run_id, progress)
    progress(trainer.step - arguments["start"], final=True)
    return {"step": trainer.step}


def finish_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Measure what is measured once, at the end."""
    current, spec, run_id = runtime(), _spec(arguments), derived_id("run", job_id)
    evaluation = _trainer(spec, run_id).task.final()

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, run_id, [], evaluation=evaluation, finished_at=now())

    current.write(record)
    return {"run": run_id}


def _prepare(spec: TrainingSpec, folder: Path, current: Runtime) -> dict[str, Any]:
    if isinstance(spec, QuestionFormationSpec):
        return prepare_sentences(spec, folder, current.settings.corpora_root)
    with current.catalog.read() as connection:
        corpus = corpora.find(connection, spec.data.corpus)
    texts = (document.text for document in read_documents(corpus.source, current.settings))
    models = current.settings.models_root
    tokenizer = None if spec.data.tokenizer == BYTES else load_tokenizer(spec.data.tokenizer, None, models)
    return prepare_windows(spec, texts, tokenizer, folder)


def _trainer(spec: TrainingSpec, run_id: str) -> Trainer[Experiment]:
    """The run on this worker's device, where it was left."""
    current = runtime()
    folder, device = current.artifact(run_id), choose_device(current.settings.device)
    trainer: Trainer[Experiment] = Trainer(_task(spec, folder / "data", device), _config(spec, device))
    load_state(folder, trainer)
    return trainer


def _task(spec: TrainingSpec, folder: Path, device: torch.device) -> SentenceTask | WindowTask:
    if isinstance(spec, QuestionFormationSpec):
        return SentenceTask(spec, folder, device)
    return WindowTask(spec, folder, device)


def _spec(arguments: dict[str, Any]) -> TrainingSpec:
    kind = EXPERIMENTS[arguments["experiment"]]
    return kind.model_validate({name: arguments[name] for name in kind.model_fields if name in arguments})


def _config(spec: TrainingSpec, device: torch.device) -> TrainingConfig:
    given = spec.optimisation
    low = spec.precision == "bfloat16" or (spec.precision == "auto" and device.type == "cuda")
    return TrainingConfig(
        steps=spec.steps,
        peak_lr=given.peak_lr,
        warmup_steps=given.warmup_steps,
        schedule=given.schedule,
        decay_steps=given.decay_steps,
        final_lr_share=given.final_lr_share,
        weight_decay=given.weight_decay,
        betas=(given.beta1, given.beta2),
        eps=given.eps,
        clip=given.clip,
        seed=spec.seed,
        bfloat16=low,
    )


def _name(spec: TrainingSpec) -> str:
    if spec.preset is not None:
        return spec.preset
    if isinstance(spec, QuestionFormationSpec):
        return f"question formation, {spec.model.n_layers} layers of {spec.model.d_model}"
    return f"OpenELM, {len(spec.model.d_mlp)} layers of {spec.model.d_model} on {spec.data.corpus}"


def _provenance(spec: TrainingSpec) -> dict[str, Any]:
    device = choose_device(runtime().settings.device)
    return provenance(_PACKAGES, seed=spec.seed, numpy_generator=np.random.PCG64.__name__, **describe_device(device))
