"""The trainer of a run: built, put where the run was left, and kept for the segment that comes next on this worker."""

from __future__ import annotations

from functools import partial

import torch

from service.catalog import training as catalog
from service.contracts.training import TrainingSpec
from workers.devices.device import choose_device
from workers.flows.engine.retention import Kept
from workers.flows.engine.runtime import runtime
from workers.flows.training.data import make_task
from workers.training.checkpoints import SavedState, load_state
from workers.training.loop import Experiment, Trainer, TrainingConfig
from workers.training.ranks import own_ranks

_KEPT_S = 2.0  # the next segment is there in less, where nobody else waits
_kept = Kept[Trainer[Experiment]](_KEPT_S)


def saved_state(run_id: str) -> SavedState | None:
    """What the run goes on from; nothing at its beginning."""
    state = runtime().read(lambda connection: catalog.state(connection, run_id))
    return None if state is None else SavedState(*state)


def trainer_of(spec: TrainingSpec, run_id: str, owner: str, state: SavedState | None) -> Trainer[Experiment]:
    """The run on this worker's device, where it was left.

    Raises:
        CorruptArtifact: the state is missing, or is not what was written.
    """
    return _kept.take(_key(run_id, state), partial(_build, spec, run_id, owner, state))


def keep_trainer(run_id: str, state: SavedState | None, trainer: Trainer[Experiment]) -> None:
    """Keep what has just been saved as `state`, for a moment; several ranks build theirs anew together."""
    if own_ranks().world == 1:
        _kept.leave(_key(run_id, state), trainer)


def _key(run_id: str, state: SavedState | None) -> str:
    """Of this very state: where another worker has saved one since, this one's trainer is of no use."""
    return f"{run_id} {None if state is None else state.sha256}"


def _build(spec: TrainingSpec, run_id: str, owner: str, state: SavedState | None) -> Trainer[Experiment]:
    current, ranks = runtime(), own_ranks()
    device = choose_device(current.settings.device)
    dealt = -(-spec.batch // ranks.world)  # each rank has a part of every batch
    spec = spec.model_copy(update={"micro_batch": min(spec.micro_batch or spec.batch, dealt)})
    task = make_task(spec, current.artifact(owner), device)
    if spec.compile:
        task.model.compile_blocks()
    trainer: Trainer[Experiment] = Trainer(task, config_of(spec, device), ranks)
    if state is not None:
        load_state(current.artifact(run_id), state, trainer)
    return trainer


def config_of(spec: TrainingSpec, device: torch.device) -> TrainingConfig:
    """How a run trains on a device."""
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
