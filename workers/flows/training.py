"""Segments of a training job: prepare the run, train for a while, finish. Its files are in `artifacts/run-…`.

A run's folder is readable while it grows: every kept model and every figure is a folder of its own, renamed into place.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.artifacts.atomic import publish_folder, write_bytes
from service.artifacts.manifest import canonical_json, describe_file, write_manifest
from service.artifacts.staging import own_staging
from service.catalog import corpora, jobs
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.base import now
from service.contracts.training import MetricsRow, OpenELMSpec, QuestionFormationSpec, TrainingSpec
from service.ids import derived_id
from service.provenance import provenance
from workers.corpora.sources import read_documents
from workers.devices.device import choose_device, describe_device
from workers.figures.training import draw_training_figure
from workers.flows.runtime import Runtime, SegmentProgress, runtime
from workers.models.loading import load_tokenizer
from workers.training import sentences, windows
from workers.training.checkpoints import PARTIAL, keep_model, load_state, save_state
from workers.training.loop import Experiment, StepRecord, Trainer, TrainingConfig
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
    folder, device = current.artifact(run_id), choose_device(current.settings.device)
    trainer: Trainer[Experiment] = Trainer(_task(spec, folder / "data", device), _config(spec, device))
    load_state(folder, trainer)
    log = _Log(run_id, spec, trainer, progress)
    began = time.monotonic()
    while trainer.step < spec.steps and not current.draining.is_set():
        log.add(trainer.advance())
        progress(trainer.step - arguments["start"])
        if time.monotonic() - began > current.settings.training_segment_s:
            break
    log.flush()
    save_state(folder, trainer)
    _draw(current, run_id, trainer.step, progress)
    progress(trainer.step - arguments["start"], final=True)
    return {"step": trainer.step}


def finish_run(job_id: str, arguments: dict[str, Any], progress: SegmentProgress) -> dict[str, Any]:
    """Measure what is measured once, at the end."""
    current, spec, run_id = runtime(), _spec(arguments), derived_id("run", job_id)
    folder, device = current.artifact(run_id), choose_device(current.settings.device)
    trainer: Trainer[Experiment] = Trainer(_task(spec, folder / "data", device), _config(spec, device))
    load_state(folder, trainer)
    evaluation = trainer.task.final()

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, run_id, [], evaluation=evaluation, finished_at=now())

    current.write(record)
    for left in folder.glob(f".*{PARTIAL}"):  # by owners that died
        shutil.rmtree(left, ignore_errors=True)
    return {"run": run_id}


class _Log:
    """Rows of the metrics since the last flush. Rows are written before the state that follows them: a run that is
    taken up again writes the same rows once more, and none is missing.
    """

    def __init__(
        self, run_id: str, spec: TrainingSpec, trainer: Trainer[Experiment], progress: SegmentProgress
    ) -> None:
        self.run_id, self.spec, self.trainer, self.progress = run_id, spec, trainer, progress
        with runtime().catalog.read() as connection:
            self._before = catalog.get(connection, run_id)
        self.rows: list[MetricsRow] = []
        self._tokens, self._began = self._tokens_at(trainer.step), time.monotonic()

    def add(self, made: StepRecord) -> None:
        """Log a step, evaluate and keep the model where it is time."""
        spec, step = self.spec, made.step
        last = step == spec.steps
        self._tokens += made.tokens
        evaluates = last or step % spec.eval_every == 0
        val_loss, details = self.trainer.task.evaluate() if evaluates else (None, {})
        if evaluates or step % spec.log_every == 0:
            row = MetricsRow(
                step=step,
                tokens=self._tokens,
                train_loss=made.loss,
                val_loss=val_loss,
                lr=made.lr,
                grad_norm=made.grad_norm,
                details=details,
            )
            self.rows.append(row)
        if last or (spec.checkpoint_every is not None and step % spec.checkpoint_every == 0):
            self._keep(step)
        if evaluates:
            self.flush()
            save_state(runtime().artifact(self.run_id), self.trainer)

    def flush(self) -> None:
        """Write what was logged, and the newest losses, if this worker still owns the segment."""
        spent = self._before.timing["train_s"] + time.monotonic() - self._began
        losses = dict(self._before.losses)
        for row in self.rows:
            losses["train_loss"] = row.train_loss
            if row.val_loss is not None:
                losses |= {"val_loss": row.val_loss, **row.details}

        def record(connection: Connection) -> None:
            self.progress.check(connection)
            catalog.record(
                connection,
                self.run_id,
                self.rows,
                step=self.trainer.step,
                tokens=self._tokens,
                losses=losses,
                timing={"train_s": spent},
            )

        runtime().write(record)
        self._before = self._before.model_copy(update={"losses": losses})
        self.rows = []

    def _keep(self, step: int) -> None:
        about = self.trainer.task.about | {"step": step, "run": self.run_id}
        folder = runtime().artifact(self.run_id) / f"step-{step:08d}"
        sha256 = keep_model(folder, self.trainer.task.model, about)

        def record(connection: Connection) -> None:
            self.progress.check(connection)
            catalog.keep_checkpoint(connection, self.run_id, step, sha256)

        runtime().write(record)

    def _tokens_at(self, step: int) -> int:
        """Tokens trained on before `step`: counted again where the run was cut off between two rows."""
        with runtime().catalog.read() as connection:
            rows, _ = catalog.metrics(connection, self.run_id)
        known = max((row for row in rows if row.step <= step), key=lambda row: row.step, default=None)
        start, total = (0, 0) if known is None else (known.step, known.tokens)
        task = self.trainer.task
        return total + sum(task.tokens(batch) for at in range(start, step) for batch in task.micro_batches(at))


def _prepare(spec: TrainingSpec, folder: Path, current: Runtime) -> dict[str, Any]:
    if isinstance(spec, QuestionFormationSpec):
        return prepare_sentences(spec, folder, current.settings.corpora_root)
    with current.catalog.read() as connection:
        corpus = corpora.find(connection, spec.data.corpus)
    texts = _texts(corpus.source, current)
    models = current.settings.models_root
    tokenizer = None if spec.data.tokenizer == BYTES else load_tokenizer(spec.data.tokenizer, None, models)
    return prepare_windows(spec, texts, tokenizer, folder)


def _texts(source: Any, current: Runtime) -> Iterator[str]:
    return (document.text for document in read_documents(source, current.settings))


def _task(spec: TrainingSpec, folder: Path, device: torch.device) -> SentenceTask | WindowTask:
    if isinstance(spec, QuestionFormationSpec):
        return SentenceTask(spec, folder, device)
    return WindowTask(spec, folder, device)


def _draw(current: Runtime, run_id: str, step: int, progress: SegmentProgress) -> None:
    """The figure as of a step, in a folder of its own; the one before goes."""
    folder = current.artifact(run_id)
    with current.catalog.read() as connection:
        run = catalog.get(connection, run_id)
        rows, _ = catalog.metrics(connection, run_id)
    if not rows:
        return
    name = f"view-{step:08d}"
    with own_staging(current.settings.staging_root, f"{run_id}-{name}", progress.attempt) as staged:
        files = draw_training_figure(run.name, rows, run.reference_lines, staged / "figure")
        sha256 = write_manifest(staged, {"kind": "view", "files": [describe_file(path) for path in files]})
        publish_folder(staged, folder / name)

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, run_id, [], view_step=step, view_sha256=sha256)

    current.write(record)
    for old in folder.glob("view-*"):
        if old.name < name:
            shutil.rmtree(old, ignore_errors=True)


def _spec(arguments: dict[str, Any]) -> TrainingSpec:
    kind = QuestionFormationSpec if arguments["experiment"] == "question_formation" else OpenELMSpec
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
