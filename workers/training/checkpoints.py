"""Files of a run: the state from which it resumes, and kept models. Safetensors and JSON, written atomically.

Every owner of a segment writes states under names of its own; the catalog's row of the run names the valid one.

No state of a random generator is saved: the loop seeds each step by (seed, step). Tensors are written without padding,
so that a run resumes, and a kept model is read, with any `width_multiple`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from service.artifacts.atomic import atomic_path, sha256_file, write_bytes
from service.artifacts.manifest import (
    canonical_json,
    describe_file,
    read_manifest,
    verify_file,
    write_manifest,
)
from service.errors import CorruptArtifact, UnsupportedSpec
from workers.models.trainable import TrainableModel
from workers.training.loop import Experiment, Trainer
from workers.training.seeding import SEEDING, Seeding

MODEL, ABOUT = "model.safetensors", "model.json"
_STATE, _KEPT = "state-", "step-"
# One metadata entry: several have a random order, and equal states must be equal files. `shifted` seeding is left out,
# as versions before wrote it; they cannot read a state that has a seeding, and so cannot continue it under their own.
_AT = "step, tokens"
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def kept_name(step: int) -> str:
    """The name of the folder of the model kept at `step`, within the folder of its run."""
    return f"{_KEPT}{step:08d}"


def kept_step(name: str) -> int:
    """The step of the kept model in the folder of that name."""
    return int(name.removeprefix(_KEPT))


@dataclass(frozen=True)
class SavedState:
    """The name of a state's file in the folder of the run, and its SHA-256."""

    file: str
    sha256: str


def state_name(step: int, segment: str, attempt: int) -> str:
    """The file of the state at `step`; the name is unique to this owner of a segment."""
    return f"{_STATE}{step:08d}-{segment}-{attempt:04d}.safetensors"


def save_state(path: Path, trainer: Trainer[Experiment]) -> SavedState:
    """Write model, optimiser and position to `path`."""
    model, tensors = trainer.task.model, {}
    kinds: dict[str, dict[str, torch.Tensor]] = {"model": model.state_dict()}
    for key in _MOMENTS:
        moments = {name: trainer.optimizer.state.get(parameter, {}) for name, parameter in model.named_parameters()}
        kinds[key] = {name: found[key] for name, found in moments.items() if key in found}
    for kind, found in kinds.items():
        tensors |= {f"{kind}.{name}": value for name, value in _unpadded(model, found).items()}
    seeding = [] if trainer.seeding == "shifted" else [trainer.seeding]
    _save(tensors, path, {_AT: json.dumps([trainer.step, trainer.tokens, *seeding])})
    return SavedState(path.name, sha256_file(path))


def load_state(folder: Path, saved: SavedState, trainer: Trainer[Experiment]) -> None:
    """Restore in `trainer` the state that `save_state` wrote.

    Raises:
        CorruptArtifact: the file is missing, or its SHA-256 differs.
        UnsupportedSpec: another version seeded the run, by a rule that this one does not have.
    """
    path = folder / saved.file
    if not path.exists():
        raise CorruptArtifact("the state of a run is missing")
    if sha256_file(path) != saved.sha256:
        raise CorruptArtifact("the state of a run does not have its recorded SHA-256")
    with safe_open(path, "pt") as file:
        trainer.step, trainer.tokens, *seeding = json.loads(file.metadata()[_AT])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    trainer.seeding = _seeding_of(seeding)
    model = trainer.task.model
    load_weights(model, _under("model", tensors))
    moments = {key: _padded(model, _under(key, tensors)) for key in _MOMENTS}
    for name, parameter in model.named_parameters():
        if name in moments["step"]:
            own = {key: found[name].to(parameter.device) for key, found in moments.items()}
            trainer.optimizer.state[parameter] = own


def _seeding_of(recorded: list[str]) -> Seeding:
    if not recorded:
        return "shifted"
    if recorded == [SEEDING]:
        return SEEDING
    raise UnsupportedSpec("the state of a run was seeded by a rule of another version", field="seeding")


def remove_other_states(folder: Path, saved: SavedState) -> None:
    """Remove all other states up to the step of the recorded one. Later ones may belong to a newer owner."""
    step = _step_of(saved.file)
    for path in [*folder.glob(f"{_STATE}*"), *folder.glob(f".{_STATE}*.tmp")]:
        if path.name != saved.file and _step_of(path.name) <= step:
            path.unlink(missing_ok=True)


def _step_of(name: str) -> int:
    return int(name.removeprefix(".").removeprefix(_STATE).split("-")[0])


def write_model(folder: Path, model: TrainableModel, about: dict[str, Any]) -> str:
    """Write a model and its configuration `about` to `folder`; returns the SHA-256 of the manifest."""
    _save(_unpadded(model, model.state_dict()), folder / MODEL)
    write_bytes(folder / ABOUT, canonical_json(about))
    files = [describe_file(folder / name) for name in (ABOUT, MODEL)]
    return write_manifest(folder, {"kind": "checkpoint", "files": files})


def read_kept(folder: Path, sha256: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights and the configuration of a kept model, every file verified; raises `CorruptArtifact`."""
    entries = {entry["name"]: entry for entry in read_manifest(folder, sha256)["files"]}
    paths = {name: verify_file(folder, entries[name]) for name in (MODEL, ABOUT)}
    return load_file(paths[MODEL]), json.loads(paths[ABOUT].read_bytes())


def load_weights(model: TrainableModel, weights: dict[str, torch.Tensor]) -> None:
    """Load weights that were written without padding into a model with any `width_multiple`."""
    model.load_state_dict(_padded(model, weights))


def _under(kind: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{kind}."): t for name, t in tensors.items() if name.startswith(f"{kind}.")}


def _unpadded(model: TrainableModel, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors without padding, by the names of the parameters whose shapes they have; scalars unchanged."""
    shapes = model.unpadded_shapes()
    return {
        name: value[tuple(slice(size) for size in shapes[name])] if value.dim() else value
        for name, value in tensors.items()
    }


def _padded(model: TrainableModel, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inverse of `_unpadded`, for the widths of this model."""
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    return {name: _padded_to(value, shapes[name]) if value.dim() else value for name, value in tensors.items()}


def _padded_to(tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    missing = [(0, wide - size) for size, wide in zip(tensor.shape, shape, strict=True)]
    return functional.pad(tensor, [number for pair in reversed(missing) for number in pair])


def _save(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically.

    Raises:
        StorageFull: no space left on the device, or it is read-only.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata)
        except SafetensorError as error:  # the library's own class also for errors of the system
            number = _OS_ERROR.search(str(error))
            raise error if number is None else OSError(int(number[1]), str(error)) from error
