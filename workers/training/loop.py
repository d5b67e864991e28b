"""The training loop: AdamW, linear warm-up and cosine decay, clipped gradients, loss in nats per token."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train; one step is one batch."""

    steps: int
    peak_lr: float
    warmup_steps: int
    final_lr_share: float = 0.1
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0


def learning_rate(step: int, config: TrainingConfig) -> float:
    """Linear to the peak over `warmup_steps`, then a half cosine to `final_lr_share` of it at the last step."""
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    share = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    return config.peak_lr * (config.final_lr_share + (1 - config.final_lr_share) * cosine)


def train(
    model: nn.Module,
    logits: Logits,
    batches: Iterator[torch.Tensor],
    config: TrainingConfig,
    tick: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train `model` in place on `config.steps` batches of (B, T + 1) tokens; `tick` is told each step's loss.

    Args:
        logits: (B, T) tokens → (B, T, d_vocab), through `model`.
    """
    optimizer = torch.optim.AdamW(_groups(model, config.weight_decay), betas=config.betas, lr=config.peak_lr)
    model.train()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        loss = next_token_loss(logits, next(batches))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        tick(step + 1, loss.item())


@torch.inference_mode()
def evaluate(model: nn.Module, logits: Logits, batches: Iterable[torch.Tensor]) -> float:
    """Mean loss over all tokens of `batches`, dropout off, in nats per token."""
    model.eval()
    total = count = 0.0
    for batch in batches:
        tokens = batch[:, 1:].numel()
        total += next_token_loss(logits, batch).item() * tokens
        count += tokens
    return total / count


def next_token_loss(logits: Logits, batch: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each token given those before it; the denominator is the number of targets."""
    predicted = logits(batch[:, :-1])
    return functional.cross_entropy(predicted.flatten(0, 1), batch[:, 1:].flatten())


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices, none for biases and norms."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
