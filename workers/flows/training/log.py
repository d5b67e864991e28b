"""The output of a run while it goes on, under the fence: metrics, saved states, kept models, the figure.

The order at an evaluation: the model is published, then rows and state are recorded, then superseded models are
removed. A worker that ends in between leaves more than is needed, never less.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from service.artifacts.views import METRICS
from service.catalog import training as catalog
from service.contracts.training import MetricsRow, TrainingSpec
from workers.figures.training import draw_training_figure
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.publishing import Change
from workers.flows.training.growing_folders import publish_part, publish_view, remove_older_views
from workers.flows.training.superseded import is_regular, remove_superseded
from workers.training.checkpoints import (
    SavedState,
    kept_name,
    load_state,
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
        self._saved_step = self._logged_step = trainer.step
        self._before = owner.runtime.read(lambda connection: catalog.get(connection, run_id))
        least = owner.runtime.read(lambda connection: catalog.least_loss(connection, run_id, trainer.step))
        self._least = math.inf if least is None else least[0]
        self.rows: list[MetricsRow] = []
        self._began = time.monotonic()

    def add(self, made: StepRecord) -> None:
        """Log a step; evaluate and keep the model at the steps that the spec gives.

        Raises:
            NonFiniteData: an evaluation is not finite; the step itself is logged.
        """
        spec, step = self.spec, made.step
        evaluates = step == spec.steps or step % spec.eval_every == 0
        if evaluates or step % spec.log_every == 0:
            self.rows.append(self._row(made))
        val_loss = None
        if evaluates:
            val_loss, details = evaluate(self.trainer)
            self.rows[-1] = self.rows[-1].model_copy(update={"val_loss": val_loss, "details": details})
        if is_regular(spec, step) or self._is_best(val_loss):
            self._keep(step)
        self._logged_step = step
        if evaluates:
            self.save()

    def _row(self, made: StepRecord) -> MetricsRow:
        loss = made.loss if self.spec.logged_loss == "batch" else made.first_loss
        given = {"train_loss": loss, "val_loss": None, "lr": made.lr, "grad_norm": made.grad_norm}
        return MetricsRow(step=made.step, tokens=self.trainer.tokens, **given)

    def _is_best(self, val_loss: float | None) -> bool:
        """Whether the spec keeps this model for its validation loss; an equal loss came earlier."""
        if val_loss is None or val_loss >= self._least:
            return False
        self._least = val_loss
        return self.spec.keep is not None and self.spec.keep.best

    def save(self) -> None:
        """Write the rows, the newest losses and the state, unless nothing came since the last save."""
        if self.trainer.step == self._saved_step:
            return
        folder, owner = self.owner.runtime.artifact(self.run_id), self.owner
        path = folder / state_name(self.trainer.step, owner.segment, owner.attempt)
        saved = save_state(path, self.trainer)
        self._record(state_file=saved.file, state_sha256=saved.sha256)
        remove_other_states(folder, saved)
        self.saved, self._saved_step = saved, self.trainer.step
        remove_superseded(self.run_id, self.spec, self.trainer.step, owner)

    def end_diverged(self) -> int | None:
        """Record what was logged, and keep the newest weights whose losses are finite; returns the step of these.

        After an evaluation that is not finite they are those of the last saved state, None where there is none: the
        weights before the last step are gone.
        """
        if self.trainer.step == self._logged_step:
            self._keep(self.trainer.step)
            self.save()
            return self.trainer.step
        self._record()
        if self.saved is None:
            return None
        load_state(self.owner.runtime.artifact(self.run_id), self.saved, self.trainer)
        self._keep(self.trainer.step)
        return self.trainer.step

    def _record(self, **state: str) -> None:
        """Record the rows since the last time, what follows from them, and the file of the state after them."""
        step, tokens, rows, losses = self.trainer.step, self.trainer.tokens, self.rows, dict(self._before.losses)
        for row in rows:
            losses["train_loss"] = row.train_loss
            if row.val_loss is not None:
                losses |= {"val_loss": row.val_loss, **row.details}
        timing = {"train_s": self._before.timing["train_s"] + time.monotonic() - self._began}
        changes = {"step": step, "tokens": tokens, "losses": losses, "timing": timing, **state}
        self.owner.record(lambda connection: catalog.record(connection, self.run_id, rows, **changes))
        self._before = self._before.model_copy(update={"losses": losses})
        self.rows = []

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
