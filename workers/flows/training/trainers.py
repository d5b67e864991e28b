"""The trainer of a run: built, restored from its last saved state, and kept for the next segment on this worker."""

from __future__ import annotations

from functools import partial

import torch

from service.catalog import training as catalog
from service.contracts.training import OpenELMSpec, TrainingSpec
from workers.devices.device import choose_device, has_bfloat16
from workers.devices.memory import free_bytes
from workers.flows.engine.prepared_values import PreparedValue
from workers.flows.engine.runtime import Runtime
from workers.flows.training.arguments import RunArguments
from workers.flows.training.data import make_task
from workers.training.checkpoints import SavedState, load_state
from workers.training.loop import Experiment, Trainer, TrainingConfig
from workers.training.ranks import own_ranks

_KEPT_S = 2.0  # the next segment comes sooner, unless another job's does
_ACTIVATIONS_SHARE = 0.5  # of the free memory; the rest is for logits, gradients and optimiser
_kept_trainer = PreparedValue[Trainer[Experiment]](_KEPT_S)


def saved_state(current: Runtime, run_id: str) -> SavedState | None:
    """The last saved state of a run; None at its beginning."""
    state = current.read(lambda connection: catalog.state(connection, run_id))
    return None if state is None else SavedState(*state)


def trainer_of(current: Runtime, arguments: RunArguments, state: SavedState | None) -> Trainer[Experiment]:
    """The run on this worker's device, restored from `state`.

    Raises:
        CorruptArtifact: the state is missing, or is not what was written.
    """
    return _kept_trainer.take(_key(arguments.run, state), partial(_build, current, arguments, state))


def keep_trainer(run_id: str, state: SavedState | None, trainer: Trainer[Experiment]) -> None:
    """Keep a trainer whose state has just been saved; with several ranks each builds its own anew."""
    if own_ranks().world == 1:
        _kept_trainer.store(_key(run_id, state), trainer)


def _key(run_id: str, state: SavedState | None) -> str:
    """Includes the state: a trainer is of no use once another worker has saved a later state."""
    return f"{run_id} {None if state is None else state.sha256}"


def _build(current: Runtime, arguments: RunArguments, state: SavedState | None) -> Trainer[Experiment]:
    spec, ranks = arguments.spec, own_ranks()
    device = choose_device(current.settings.device)
    dealt = -(-spec.batch // ranks.world)  # each rank has a part of every batch
    spec = spec.model_copy(update={"micro_batch": min(micro_batch(spec, device), dealt)})
    task = make_task(spec, current.artifact(arguments.data), device)
    if spec.compile:
        task.model.compile_blocks()
    trainer: Trainer[Experiment] = Trainer(task, config_of(spec, device), ranks)
    if state is not None:
        load_state(current.artifact(arguments.run), state, trainer)
    return trainer


def micro_batch(spec: TrainingSpec, device: torch.device) -> int:
    """Rows of one backward pass: as the spec gives, or the whole batch, or as many as fit the free memory of a GPU.

    A token keeps about 20 numbers for each dimension of the stream and 8 for each of the MLP, in every layer.
    """
    if spec.micro_batch is not None or device.type != "cuda" or not isinstance(spec, OpenELMSpec):
        return spec.micro_batch or spec.batch
    of_a_token = 4 * sum(20 * spec.model.d_model + 8 * d_mlp for d_mlp in spec.model.d_mlp)
    held = int(_ACTIVATIONS_SHARE * free_bytes(device) / (of_a_token * spec.model.n_ctx))
    return max(1, min(spec.batch, held))


def config_of(spec: TrainingSpec, device: torch.device) -> TrainingConfig:
    """The training options of a run on a device."""
    given = spec.optimisation
    low = spec.precision == "bfloat16" or (spec.precision == "auto" and device.type == "cuda" and has_bfloat16(device))
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
