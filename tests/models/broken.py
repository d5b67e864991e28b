"""Ways to change a model's folder, as people's folders are changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
WEIGHTS = "model.safetensors"


def change_weights(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    """Write the weights anew after `change`."""
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def change_config(folder: Path, **values: Any) -> None:
    """Set keys of `config.json`."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def prefix_names(folder: Path, prefix: str) -> None:
    change_weights(folder, lambda found: {f"{prefix}{name}": tensor for name, tensor in found.items()})


def drop(folder: Path, *parts: str) -> None:
    """Remove the tensors that have one of `parts` in their names."""
    change_weights(
        folder, lambda found: {name: one for name, one in found.items() if not any(part in name for part in parts)}
    )


def keep_head_alone(folder: Path) -> None:
    """Store the tied embedding under the name of the head alone."""
    change_weights(
        folder,
        lambda found: {
            "lm_head.weight" if name.endswith("wte.weight") else name: tensor
            for name, tensor in found.items()
            if name != "lm_head.weight"
        },
    )


def shard(folder: Path, **moved: str) -> None:
    """Split the weights over two files with an index; `moved` renames a file's entry in the index."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    files = {"one": names[: len(names) // 2], "two": names[len(names) // 2 :]}
    for file, held in files.items():
        save_file({name: tensors[name] for name in held}, folder / f"{file}.safetensors")
    entries = {name: moved.get(file, f"{file}.safetensors") for file, held in files.items() for name in held}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": entries}))
    (folder / WEIGHTS).unlink()
