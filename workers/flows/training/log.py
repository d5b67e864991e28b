"""What a run writes while it goes on, under the fence: metrics, saved states, kept models, the figure."""

from __future__ import annotations

import time
from pathlib import Path

from service.artifacts.views import METRICS
from service.catalog import training as catalog
from service.catalog.engine import Connection
from service.contracts.training import MetricsRow, TrainingSpec
from workers.figures.training import draw_training_figure
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.publishing import Change
from workers.flows.training.parts import publish_part, publish_view, remove_older_views
from workers.training.checkpoints import (
    SavedState,
    kept_name,
    remove_other_states,
    save_state,
    state_name,
    write_model,
)
from workers.training.loop import Experiment, StepRecord, Trainer, evaluate
from workers.training.metrics_file import write_metrics


class TrainingLog:
    """Rows of the metrics since the last save; they become visible together with the state after them."""

    def __init__(
        self,
        run_id: str,
        spec: TrainingSpec,
        trainer: Trainer[Experiment],
        owner: SegmentOwner,
        saved: SavedState | None,
    ) -> None:
        self.run_id, self.spec, self.trainer, self.owner, self.saved = run_id, spec, trainer, owner, saved
        self._saved_step = trainer.step
        self._before = owner.runtime.read(lambda connection: catalog.get(connection, run_id))
        self.rows: list[MetricsRow] = []
        self._began = time.monotonic()

    def add(self, made: StepRecord) -> None:
        """Log a step; evaluate and keep the model at the steps that the spec says."""
        spec, step = self.spec, made.step
        last = step == spec.steps
        evaluates = last or step % spec.eval_every == 0
        val_loss, details = evaluate(self.trainer) if evaluates else (None, {})
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
            self.save()

    def save(self) -> None:
        """Write the rows, the newest losses and the state, unless nothing came since the last save."""
        if self.trainer.step == self._saved_step:
            return
        folder, owner = self.owner.runtime.artifact(self.run_id), self.owner
        path = folder / state_name(self.trainer.step, owner.segment, owner.attempt)
        saved = save_state(path, self.trainer)
        spent = self._before.timing["train_s"] + time.monotonic() - self._began
        losses = dict(self._before.losses)
        for row in self.rows:
            losses["train_loss"] = row.train_loss
            if row.val_loss is not None:
                losses |= {"val_loss": row.val_loss, **row.details}

        def record(connection: Connection) -> None:
            catalog.record(
                connection,
                self.run_id,
                self.rows,
                step=self.trainer.step,
                tokens=self.trainer.tokens,
                losses=losses,
                timing={"train_s": spent},
                state_file=saved.file,
                state_sha256=saved.sha256,
            )

        owner.record(record)
        remove_other_states(folder, saved)
        self._before = self._before.model_copy(update={"losses": losses})
        self.rows, self.saved, self._saved_step = [], saved, self.trainer.step

    def _keep(self, step: int) -> None:
        about = self.trainer.task.about | {"step": step, "run": self.run_id}
        model = self.trainer.task.model

        def recorded(digests: list[str]) -> Change:
            return lambda connection: catalog.keep_checkpoint(connection, self.run_id, step, digests[0])

        publish_part(self.run_id, kept_name(step), self.owner, lambda to: write_model(to, model, about), recorded)


def draw_view(run_id: str, owner: SegmentOwner) -> None:
    """Publish the figure and the table of metrics as they are now, and remove older ones."""
    current = owner.runtime
    run = current.read(lambda connection: catalog.get(connection, run_id))
    rows, _ = current.read(lambda connection: catalog.metrics(connection, run_id))
    step = run.step + len(run.trajectory)  # grows with everything that is drawn
    if rows:

        def draw(folder: Path) -> list[Path]:
            figures = draw_training_figure(run, rows, folder / "figure")
            return [*figures, write_metrics(rows, folder / METRICS)]

        view = publish_view(run_id, step, owner, draw)
        owner.record(lambda connection: catalog.record(connection, run_id, [], **view))
    remove_older_views(run_id, step, owner)
