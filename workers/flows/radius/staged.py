"""What the segments of one search in parts leave for one another: folders of arrays that name the plan they are of."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import publish_folder, sha256_file
from service.artifacts.manifest import MANIFEST, ArtifactFolder, describe_file, write_manifest
from service.artifacts.staging import own_staging
from service.errors import CorruptArtifact
from service.jobs.engine import APP_VERSION
from workers.flows.engine.runtime import SegmentProgress, runtime

Array = np.ndarray
Arguments = dict[str, Any]
Made = tuple[dict[str, Array], dict[str, Any]]
_ARRAYS = "arrays.safetensors"


def stage(arguments: Arguments, progress: SegmentProgress, name: str, make: Callable[[], Made]) -> str:
    """The checksum of a staged part: one that is there and sound is kept, else it is made."""
    root = _root(arguments["report"])
    found = _sound(arguments, name)
    if found is not None:
        return found
    shutil.rmtree(root / name, ignore_errors=True)
    began = time.perf_counter()
    arrays, facts = make()
    about = {"kind": "part", "plan": _plan_of(arguments, name), "worker": runtime().worker} | facts
    with own_staging(root, name, progress.attempt) as folder:
        save_tensors(folder / _ARRAYS, {key: np.ascontiguousarray(array) for key, array in arrays.items()})
        about |= {"files": [describe_file(folder / _ARRAYS)], "work_s": time.perf_counter() - began}
        write_manifest(folder, about)
        runtime().write(progress.check)
        publish_folder(folder, root / name)
    return sha256_file(root / name / MANIFEST)


def _sound(arguments: Arguments, name: str) -> str | None:
    """The checksum of a part that an earlier owner of its segment has left, of this plan and undamaged."""
    try:
        sha256 = sha256_file(_root(arguments["report"]) / name / MANIFEST)
        read_part(arguments, name, sha256)
    except (OSError, CorruptArtifact):
        return None
    return sha256


def read_part(arguments: Arguments, name: str, sha256: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a staged part and what its manifest says.

    Raises:
        CorruptArtifact: it is missing, damaged, or of another plan.
    """
    folder = part_folder(arguments, name, sha256)
    if folder.manifest.get("plan") != _plan_of(arguments, name):
        raise CorruptArtifact("a part of a search belongs to another plan")
    return load_file(folder.file(_ARRAYS)), folder.manifest


def part_folder(arguments: Arguments, name: str, sha256: str) -> ArtifactFolder:
    """A staged part; every file of it is checked before anything is taken from it."""
    return ArtifactFolder(_root(arguments["report"]) / name, sha256)


def _plan_of(arguments: Arguments, name: str) -> str:
    """What a part belongs to; a plan and a null model to this version, so that another one makes its own."""
    return APP_VERSION if name in ("plan", "null") else arguments["plan"]


def _root(report_id: str) -> Path:
    """Where the parts of a report's search are; among what is collected when it is published."""
    return runtime().settings.staging_root / f"{report_id}.parts"


def part_name(kind: str, number: int) -> str:
    """The folder of a part."""
    return f"{kind}-{number:05d}"
