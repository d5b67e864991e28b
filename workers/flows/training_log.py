"""What a run leaves behind as it goes: metrics, kept models, the figure; written as the segment's owner."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST, describe_file, write_manifest
from service.artifacts.staging import collect_staging, own_staging
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.training import MetricsRow, TrainingSpec
from workers.figures.training import draw_training_figure
from workers.flows.runtime import SegmentProgress, runtime
from workers.training.checkpoints import save_state, write_model
from workers.training.loop import Experiment, StepRecord, Trainer


class TrainingLog:
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
        self._began = time.monotonic()

    def add(self, made: StepRecord) -> None:
        """Log a step, evaluate and keep the model where it is time."""
        spec, step = self.spec, made.step
        last = step == spec.steps
        evaluates = last or step % spec.eval_every == 0
        val_loss, details = self.trainer.task.evaluate() if evaluates else (None, {})
        if evaluates or step % spec.log_every == 0:
            row = MetricsRow(
                step=step,
                tokens=self.trainer.tokens,
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
                tokens=self.trainer.tokens,
                losses=losses,
                timing={"train_s": spent},
            )

        runtime().write(record)
        self._before = self._before.model_copy(update={"losses": losses})
        self.rows = []

    def _keep(self, step: int) -> None:
        about = self.trainer.task.about | {"step": step, "run": self.run_id}
        model = self.trainer.task.model
        sha256 = _publish(f"step-{step:08d}", self.run_id, self.progress, lambda to: write_model(to, model, about))

        def record(connection: Connection) -> None:
            self.progress.check(connection)
            catalog.keep_checkpoint(connection, self.run_id, step, sha256)

        runtime().write(record)


def draw_view(run_id: str, step: int, progress: SegmentProgress) -> None:
    """The figure as of a step, in a folder of its own; the one before goes."""
    current = runtime()
    folder = current.artifact(run_id)
    with current.catalog.read() as connection:
        run = catalog.get(connection, run_id)
        rows, _ = catalog.metrics(connection, run_id)
    if not rows:
        return
    name = f"view-{step:08d}"

    def draw(to: Path) -> None:
        files = draw_training_figure(run.name, rows, run.reference_lines, to / "figure")
        write_manifest(to, {"kind": "view", "files": [describe_file(path) for path in files]})

    sha256 = _publish(name, run_id, progress, draw)

    def record(connection: Connection) -> None:
        progress.check(connection)
        catalog.record(connection, run_id, [], view_step=step, view_sha256=sha256)

    current.write(record)
    for old in folder.glob("view-*"):
        if old.name < name:
            shutil.rmtree(old, ignore_errors=True)


def collect_leftovers(run_id: str, progress: SegmentProgress) -> None:
    """Remove what owners of this segment that died have left."""
    collect_staging(runtime().settings.staging_root, _staging_name(run_id, progress))


def _publish(name: str, run_id: str, progress: SegmentProgress, write: Callable[[Path], object]) -> str:
    """Have a folder of the run written and renamed into place; returns its manifest's SHA-256.

    One that an owner before has published is kept.
    """
    current = runtime()
    target = current.artifact(run_id) / name
    with own_staging(current.settings.staging_root, _staging_name(run_id, progress), progress.attempt) as staged:
        write(staged)
        publish_folder(staged, target)
    return sha256_file(target / MANIFEST)


def _staging_name(run_id: str, progress: SegmentProgress) -> str:
    return f"{run_id}-{progress.name}"  # attempts are counted segment by segment
