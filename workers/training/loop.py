"""The one training loop: micro-batches, AdamW, a schedule, clipped gradients. Every experiment is a `Task` of it.

A step is a function of (weights, optimiser, seed, step) alone: a task draws its batch from (seed, step), and dropout is
seeded by both. So a run that resumes from a checkpoint is bit for bit the uninterrupted run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from service.errors import NonFiniteData
from workers.models.trainable import TrainableModel
from workers.training.optimizer import adamw
from workers.training.ranks import ALONE, Ranks
from workers.training.seeding import SEEDING, Seeding, seed_dropout


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Hyperparameters; one step is one batch. The schedule ends at `decay_steps`, or at the last step if None."""

    steps: int
    peak_lr: float
    warmup_steps: int
    schedule: str = "cosine"
    decay_steps: int | None = None
    final_lr_share: float = 0.1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    clip: float = 1.0
    seed: int = 0
    bfloat16: bool = False


class Task(Protocol):
    """A model with its training batches and its loss."""

    @property
    def model(self) -> nn.Module:
        """The model; in training mode during a step."""
        ...

    def micro_batches(self, step: int, seeding: Seeding = SEEDING) -> Sequence[Any]:
        """The batch of a step, in parts small enough for one backward pass; a function of step and seeding alone."""
        ...

    def tokens(self, batch: Any) -> int:
        """Tokens trained on with a micro-batch."""
        ...

    def targets(self, batch: Any) -> int:
        """The number by which the loss of a batch is divided: of its targets, or of its lines."""
        ...

    def loss(self, batch: Any, weight: float) -> torch.Tensor:
        """`weight` × the sum of the losses of a micro-batch's targets, in nats."""
        ...


class Experiment(Task, Protocol):
    """A task with an evaluation, whose model is kept."""

    @property
    def model(self) -> TrainableModel:
        """See `Task.model`."""
        ...

    @property
    def about(self) -> dict[str, Any]:
        """The configuration from which the model and its tokenizer are rebuilt."""
        ...

    def evaluate(self) -> tuple[float, dict[str, float]]:
        """The validation loss, dropout off, and other measures by name."""
        ...

    def final(self) -> dict[str, Any]:
        """Measures that are computed once, at the end of the run."""
        ...

    def sample(self, rows: int, tokens: int) -> list[np.ndarray]:
        """Up to `rows` held-out sequences of token ids: whole lines, or windows of `tokens` that do not overlap."""
        ...


AnyTask = TypeVar("AnyTask", bound=Task)


@dataclass(frozen=True)
class StepRecord:
    """One step: `loss` over the whole batch, `first_loss` over its first micro-batch; dropout on, before the update."""

    step: int
    loss: float
    first_loss: float
    lr: float
    grad_norm: float


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear to the peak over `warmup_steps`, then the schedule to `final_lr_share` of it at `decay_steps`."""
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.peak_lr
    last = config.decay_steps or config.steps
    share = min(1.0, (step - config.warmup_steps) / max(1, last - config.warmup_steps))
    left = 1 - share if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * share))
    return config.peak_lr * (config.final_lr_share + (1 - config.final_lr_share) * left)


class Trainer(Generic[AnyTask]):
    """Trains a task; `step` counts the completed steps, `tokens` the tokens trained on.

    `seeding` is the rule of the run's random streams; a restored state sets it.
    """

    def __init__(self, task: AnyTask, config: TrainingConfig, ranks: Ranks = ALONE) -> None:
        self.task, self.config, self.ranks, self.step, self.tokens = task, config, ranks, 0, 0
        self.seeding: Seeding = SEEDING
        self._drawn: tuple[int, Sequence[Any]] | None = None
        self.optimizer = adamw(
            task.model, lr=config.peak_lr, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay
        )

    def advance(self) -> StepRecord:
        """Make one step.

        Raises:
            NonFiniteData: the loss or the norm of the gradient is not finite; the weights are those before the step.
        """
        config, model = self.config, self.task.model
        lr = learning_rate(self.step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        seed_dropout(self.seeding, config.seed, self.step, self.ranks.rank)
        model.train()
        batches = self._batches()
        targets = sum(self.task.targets(batch) for batch in batches)
        # Read once: each read waits for the GPU.
        total, first = torch.zeros((2,), device=next(model.parameters()).device).unbind()
        for batch in self.ranks.share(batches):
            with self.autocast():
                loss = self.task.loss(batch, 1 / targets)
            loss.backward()
            total += loss.detach()
            if batch is batches[0]:
                first += loss.detach() * (targets / self.task.targets(batch))
        self.ranks.sum_gradients(model.parameters())
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        self._drawn = self.step + 1, self._draw(self.step + 1)  # while a GPU computes
        own_loss, own_first, grad_norm = torch.stack([total, first, norm]).tolist()
        mean_loss, first_loss = self.ranks.sum(own_loss), self.ranks.sum(own_first)
        for name, value in (("loss", mean_loss), ("norm of the gradient", grad_norm)):
            if not math.isfinite(value):
                raise NonFiniteData(f"the {name} is not finite at step {self.step + 1}; a lower peak_lr may help")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += sum(self.task.tokens(batch) for batch in batches)
        return StepRecord(self.step, mean_loss, first_loss, lr, grad_norm)

    def _batches(self) -> Sequence[Any]:
        """The batches of the next step; those drawn in advance are used only if they are of this step."""
        drawn, self._drawn = self._drawn, None
        return drawn[1] if drawn is not None and drawn[0] == self.step else self._draw(self.step)

    def _draw(self, step: int) -> Sequence[Any]:
        return self.task.micro_batches(step, self.seeding)

    def autocast(self) -> torch.autocast:
        """The precision of forward passes, the same in training and evaluation."""
        device = next(self.task.model.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.config.bfloat16)


def evaluate(trainer: Trainer[Experiment]) -> tuple[float, dict[str, float]]:
    """Evaluate the experiment in the precision that it is trained in.

    Raises:
        NonFiniteData: a loss is not finite.
    """
    with trainer.autocast():
        val_loss, details = trainer.task.evaluate()
    for name, value in {"val_loss": val_loss, **details}.items():
        if not math.isfinite(value):
            raise NonFiniteData(f"{name} is not finite at step {trainer.step}; a lower peak_lr may help")
    return val_loss, details
