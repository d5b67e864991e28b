"""Staged parts of a large search: a folder of arrays each, with a manifest that names the plan it belongs to.

A repeated segment keeps a sound part of the same plan and makes any other anew. All parts are removed when the report
is published. What a part's manifest says beside the arrays is a frozen dataclass, validated where it is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors.numpy import load_file

from service.artifacts.activation_set import save_tensors
from service.artifacts.atomic import sha256_file
from service.artifacts.manifest import MANIFEST, ArtifactFolder, describe_file, write_manifest
from service.errors import CorruptArtifact
from service.jobs.engine import APP_VERSION
from workers.flows.engine.ownership import SegmentOwner
from workers.flows.engine.runtime import Runtime
from workers.flows.publishing import Draft, publish
from workers.neighbors.splitting import PlanFacts
from workers.neighbors.task import SearchWork

Array = np.ndarray
Arrays = dict[str, Array]
ARRAYS = "arrays"  # the file of a part that has one


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """Who computed a part, and in how many seconds; `PartStore.stage` sets both (field names are keys of manifests)."""

    worker: str = ""
    work_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SearchedFacts(PartFacts):
    """How a part was searched.

    Attributes:
        format, fused: number format of the filter, and whether the GPU's kernel computed the tiles.
        kernel: why it did not, if it might have.
    """

    format: str
    fused: bool
    device: str
    kernel: str = ""


@dataclass(frozen=True, kw_only=True)
class PlannedFacts(PartFacts, PlanFacts):
    """A plan of a search in parts.

    Attributes:
        search, count: where the parts of the search and of the counts stop, among all tiles.
        settle: where the ranges of queries stop that are settled separately, among all blocks of 64.
        began: when planning began, in seconds since the epoch.
    """

    search: list[int]
    count: list[int]
    settle: list[int]
    began: float


@dataclass(frozen=True, kw_only=True)
class SettledFacts(PartFacts):
    """The work of the search for the queries of one range."""

    work: SearchWork


Facts = TypeVar("Facts", bound=PartFacts)


@dataclass(frozen=True)
class PartStore:
    """The staged parts of one report's search.

    Attributes:
        plan: SHA-256 of the plan that the parts belong to; plan and null model belong to a version of the workflows.
    """

    root: Path
    plan: str = APP_VERSION

    def stage(self, owner: SegmentOwner, name: str, kind: type[Facts], make: Callable[[], tuple[Arrays, Facts]]) -> str:
        """Stage the arrays and facts that `make` returns, or keep a sound part; returns its manifest's SHA-256.

        A part whose facts are not a `kind` of this version is made again.
        """

        def make_file() -> tuple[dict[str, Arrays], Facts]:
            arrays, facts = make()
            return {ARRAYS: arrays}, facts

        return self.stage_files(owner, name, kind, make_file)

    def stage_files(
        self, owner: SegmentOwner, name: str, kind: type[Facts], make: Callable[[], tuple[dict[str, Arrays], Facts]]
    ) -> str:
        """Stage a part of several files, whose arrays are read one file at a time; as `stage`."""

        def write(folder: Path) -> None:
            began = time.perf_counter()
            made, facts = make()
            for file, arrays in made.items():
                tensors = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
                save_tensors(folder / _file(file), tensors)
            files = [describe_file(folder / _file(file)) for file in made]
            whole = replace(facts, worker=owner.runtime.worker, work_s=time.perf_counter() - began)
            write_manifest(folder, asdict(whole) | {"kind": "part", "plan": self.plan, "files": files})

        def is_kept(path: Path) -> bool:
            try:
                folder = self._folder(path, sha256_file(path / MANIFEST))
                _facts(folder, kind)
                for entry in folder.manifest["files"]:
                    folder.file(entry["name"])
            except (OSError, CorruptArtifact):
                return False
            return True

        (sha256,) = publish(owner, [Draft(self.root / name, write)], keep=is_kept)
        return sha256

    def read(self, name: str, sha256: str, kind: type[Facts], file: str = ARRAYS) -> tuple[Arrays, Facts]:
        """The facts of a part and the arrays of one of its files; the others are not read.

        Raises:
            CorruptArtifact: it is missing, damaged, belongs to another plan, or its facts are not a `kind`.
        """
        folder = self._folder(self.root / name, sha256)
        return load_file(folder.file(_file(file))), _facts(folder, kind)

    def facts(self, name: str, sha256: str, kind: type[Facts]) -> Facts:
        """The facts of a part; raises as `read`, but does not read the arrays."""
        return _facts(self._folder(self.root / name, sha256), kind)

    def _folder(self, path: Path, sha256: str) -> ArtifactFolder:
        folder = ArtifactFolder(path, sha256)
        if folder.manifest.get("plan") != self.plan:
            raise CorruptArtifact("a part of a search belongs to another plan")
        return folder


def _facts(folder: ArtifactFolder, kind: type[Facts]) -> Facts:
    try:
        return _adapter(kind).validate_python(folder.manifest)
    except ValidationError as error:
        fields = ", ".join(sorted({str(found["loc"][0]) for found in error.errors() if found["loc"]}))
        raise CorruptArtifact(f"the manifest of a search's part does not fit this version: {fields}") from error


@cache
def _adapter(kind: type[Facts]) -> TypeAdapter[Facts]:
    return TypeAdapter(kind)


def part_store(runtime: Runtime, report: str, plan: str = APP_VERSION) -> PartStore:
    """The staged parts of a report's search; they are removed with what else is staged for the report."""
    return PartStore(runtime.settings.staging_root / f"{report}.parts", plan)


def _file(name: str) -> str:
    return f"{name}.safetensors"


def part_name(kind: str, number: int) -> str:
    """The folder of a part."""
    return f"{kind}-{number:05d}"
