"""What a run leaves behind as it goes: metrics, kept models, the figure; written as the segment's owner."""

from __future__ import annotations

import shutil
import time

from service.artifacts.atomic import publish_folder
from service.artifacts.manifest import describe_file, write_manifest
from service.artifacts.staging import own_staging
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.training import MetricsRow, TrainingSpec
from workers.figures.training import draw_training_figure
from workers.flows.runtime import Runtime, SegmentProgress, runtime
from workers.training.checkpoints import keep_model, save_state
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


def draw_view(current: Runtime, run_id: str, step: int, progress: SegmentProgress) -> None:
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
