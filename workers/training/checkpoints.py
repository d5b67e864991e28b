"""Files of a run: the newest state to go on from, and kept models. Safetensors and JSON, written atomically.

No state of a random generator is needed: the loop seeds each step by (seed, step).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from service.artifacts.atomic import atomic_path, write_bytes
from service.artifacts.manifest import (
    canonical_json,
    describe_file,
    read_manifest,
    verify_file,
    write_manifest,
)
from workers.training.loop import Trainer

RESUME = "resume.safetensors"
MODEL, ABOUT = "model.safetensors", "model.json"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def kept_name(step: int) -> str:
    """The folder of the model kept at `step`, within its run's."""
    return f"step-{step:08d}"


def save_state(folder: Path, trainer: Trainer[Any]) -> None:
    """Write model, optimiser and position to `folder`, over the state before."""
    tensors = {f"model.{name}": value for name, value in trainer.task.model.state_dict().items()}
    for name, parameter in trainer.task.model.named_parameters():
        moments = trainer.optimizer.state.get(parameter, {})
        tensors |= {f"{key}.{name}": moments[key] for key in _MOMENTS if key in moments}
    with atomic_path(folder / RESUME) as temporary:
        save_file(_contiguous(tensors), temporary, metadata={"step": str(trainer.step), "tokens": str(trainer.tokens)})


def load_state(folder: Path, trainer: Trainer[Any]) -> bool:
    """Put `trainer` where `save_state` left it; False when nothing was saved."""
    path = folder / RESUME
    if not path.exists():
        return False
    with safe_open(path, "pt") as file:
        trainer.step, trainer.tokens = (int(file.metadata()[name]) for name in ("step", "tokens"))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    model = trainer.task.model
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    for name, parameter in model.named_parameters():
        if f"exp_avg.{name}" in tensors:
            moments = {key: tensors[f"{key}.{name}"] for key in _MOMENTS}
            trainer.optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in moments.items()}
    return True


def write_model(folder: Path, model: torch.nn.Module, about: dict[str, Any]) -> str:
    """Write a model to `folder`, with what is needed to build it again; returns its manifest's SHA-256."""
    with atomic_path(folder / MODEL) as temporary:
        save_file(_contiguous(model.state_dict()), temporary)
    write_bytes(folder / ABOUT, canonical_json(about))
    files = [describe_file(folder / name) for name in (ABOUT, MODEL)]
    return write_manifest(folder, {"kind": "checkpoint", "files": files})


def read_kept(folder: Path, sha256: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights of a kept model and what they are, every file checked; raises `CorruptArtifact`."""
    entries = {entry["name"]: entry for entry in read_manifest(folder, sha256)["files"]}
    paths = {name: verify_file(folder, entries[name]) for name in (MODEL, ABOUT)}
    return load_file(paths[MODEL]), json.loads(paths[ABOUT].read_bytes())


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
