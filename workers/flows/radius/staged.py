"""Staged parts of a large search: one folder of arrays each, with a manifest that names the plan it belongs to.

A repeated segment keeps a sound part of the same plan and makes any other anew. All parts are removed when the report
is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import MANIFEST, ArtifactFolder, describe_file, write_manifest
from service.errors import CorruptArtifact
from service.jobs.engine import APP_VERSION
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.publishing import Draft, publish

Array = np.ndarray
Arrays = dict[str, Array]
Facts = dict[str, Any]
_ARRAYS = "arrays.safetensors"


@dataclass(frozen=True)
class PartStore:
    """The staged parts of one report's search.

    Attributes:
        plan: SHA-256 of the plan that the parts belong to; plan and null model belong to a version of the workflows.
    """

    root: Path
    plan: str = APP_VERSION

    def stage(self, owner: SegmentOwner, name: str, make: Callable[[], tuple[Arrays, Facts]]) -> str:
        """Stage the arrays and facts that `make` returns, or keep a sound part; returns its manifest's SHA-256."""

        def write(folder: Path) -> None:
            began = time.perf_counter()
            arrays, facts = make()
            save_tensors(folder / _ARRAYS, {key: np.ascontiguousarray(array) for key, array in arrays.items()})
            about = {"kind": "part", "plan": self.plan, "worker": owner.runtime.worker} | facts
            about |= {"files": [describe_file(folder / _ARRAYS)], "work_s": time.perf_counter() - began}
            write_manifest(folder, about)

        (sha256,) = publish(owner, [Draft(self.root / name, write)], keep=self._is_kept)
        return sha256

    def read(self, name: str, sha256: str) -> tuple[Arrays, Facts]:
        """The arrays of a part, and its manifest with the facts.

        Raises:
            CorruptArtifact: it is missing, damaged, or belongs to another plan.
        """
        return self._read(self.root / name, sha256)

    def facts(self, name: str, sha256: str) -> Facts:
        """The manifest of a part with its facts; raises as `read`, but does not read the arrays."""
        return self._folder(self.root / name, sha256).manifest

    def _read(self, path: Path, sha256: str) -> tuple[Arrays, Facts]:
        folder = self._folder(path, sha256)
        return load_file(folder.file(_ARRAYS)), folder.manifest

    def _folder(self, path: Path, sha256: str) -> ArtifactFolder:
        folder = ArtifactFolder(path, sha256)
        if folder.manifest.get("plan") != self.plan:
            raise CorruptArtifact("a part of a search belongs to another plan")
        return folder

    def _is_kept(self, path: Path) -> bool:
        """Whether a sound part of the same plan is in place."""
        try:
            self._read(path, sha256_file(path / MANIFEST))
        except (OSError, CorruptArtifact):
            return False
        return True


def part_store(runtime: Runtime, report: str, plan: str = APP_VERSION) -> PartStore:
    """The staged parts of a report's search; they are removed with what else is staged for the report."""
    return PartStore(runtime.settings.staging_root / f"{report}.parts", plan)


def part_name(kind: str, number: int) -> str:
    """The folder of a part."""
    return f"{kind}-{number:05d}"
