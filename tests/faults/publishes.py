"""The ways in which the product puts files into place, done by a process of their own that may die or be refused.

`file` and `import` are the API's; the others are products of segments, all by `workers.flows.publishing`.
"""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts import importing, vector_files
from service.artifacts.activation_set import ActivationSet, save_tensors
from service.artifacts.atomic import publish_folder, sha256_file, write_bytes
from service.artifacts.manifest import ArtifactFolder, describe_file, write_manifest
from service.catalog import training
from service.catalog.engine import Catalog
from service.errors import RadiusError
from service.settings import Settings
from tests.api.products import evaluate, measure, own_segment
from tests.faults.processes import forkserver
from tests.faults.system_calls import Calls, Fault, watch
from workers.flows.extraction.arguments import PublishArguments
from workers.flows.extraction.publish import publish_sets
from workers.flows.publishing import Change
from workers.flows.radius.staged import PartFacts, part_store
from workers.flows.training.growing_folders import publish_part

OLD, NEW = b"old" * 500, b"the new one" * 500
ROWS = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


@dataclass(frozen=True)
class Told:
    """How an attempt ended: the error's class and code where there was one, and the calls it made."""

    error: str | None
    code: str | None
    seen: list[tuple[str, str, str]]


def attempt(kind: str, folder: Path, fault: Fault | None = None) -> Told | None:
    """One attempt in a process of its own on the data directory FOLDER/data; None when it was killed."""
    return finish(begin(kind, folder, fault), folder)


def begin(kind: str, folder: Path, fault: Fault | None = None, name: str = "told") -> ForkServerProcess:
    """The process of an attempt, started."""
    process = forkserver().Process(target=_attempt, args=(kind, folder, fault, name))
    process.start()
    return process


def finish(process: ForkServerProcess, folder: Path, name: str = "told") -> Told | None:
    """What an attempt that was begun under that name told; None when it was killed."""
    process.join(120)
    told = folder / f"{name}.json"
    if not told.exists():
        return None
    read = json.loads(told.read_bytes())
    told.unlink()
    return Told(**read)


def _attempt(kind: str, folder: Path, fault: Fault | None, name: str) -> None:
    calls = Calls(str(folder / "data" / "artifacts"), fault)
    watch(calls)
    error: Exception | None = None
    try:
        _ATTEMPTS[kind](folder)
    except Exception as raised:
        error = raised
    code = error.code if isinstance(error, RadiusError) else None
    body = {"error": None if error is None else repr(error), "code": code, "seen": calls.seen}
    (folder / f"{name}.json").write_text(json.dumps(body))


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder / "data", null_queries=10)


def _replace_file(folder: Path) -> None:
    write_bytes(settings_of(folder).artifacts_root / "file", NEW)


def _import_set(folder: Path) -> None:
    """As `POST /v1/activations` does it, in two shards."""
    settings = settings_of(folder)
    vector_files.SHARD_BYTES = ROWS.nbytes // 2
    staging = settings.staging_root / "act-1"
    importing.import_vectors(folder / "rows.npy", staging, {"id": "act-1", "name": "mine"})
    publish_folder(staging, settings.artifacts_root / "act-1")


@contextmanager
def _catalog(folder: Path) -> Iterator[tuple[Settings, Catalog, dict[str, str]]]:
    """Settings, catalog, and the ids that the template has."""
    settings = settings_of(folder)
    with closing(Catalog(settings.resolved_database_url)) as catalog:
        yield settings, catalog, json.loads((folder / "made.json").read_bytes())


def _publish_report(folder: Path) -> None:
    """As a compute worker does it, with an empty figure."""
    with _catalog(folder) as (settings, catalog, made):
        measure(settings, catalog, made["job"], made["set"], fractions=[1.0])


def _publish_energy(folder: Path) -> None:
    """The same for an energy report."""
    with _catalog(folder) as (settings, catalog, made):
        evaluate(settings, catalog, made["job"], [made["set"]])


def _publish_kept(folder: Path) -> None:
    """A folder of a training run, as a kept model is one."""

    def write(to: Path) -> None:
        save_tensors(to / "model.safetensors", {"weights": ROWS})
        write_manifest(to, {"kind": "checkpoint", "files": [describe_file(to / "model.safetensors")]})

    with _catalog(folder) as (settings, catalog, made):
        owner = own_segment(settings, catalog, made["job"], "train-00000")

        def recorded(digests: list[str]) -> Change:
            return lambda connection: training.keep_checkpoint(connection, made["run"], 1, digests[0])

        publish_part(made["run"], "step-00000001", owner, write, recorded)


def _stage_part(folder: Path) -> None:
    """A part of a large search."""
    with _catalog(folder) as (settings, catalog, made):
        owner = own_segment(settings, catalog, made["job"], "search-00-00000")
        part_store(owner.runtime, "radius-1", "plan").stage(
            owner, "search-00000", PartFacts, lambda: ({"rows": ROWS}, PartFacts())
        )


def _publish_sets(folder: Path) -> None:
    """The sets of both sites of an extraction whose shards are staged."""
    arguments = PublishArguments.model_validate_json((folder / "sets.json").read_bytes())
    with _catalog(folder) as (settings, catalog, made):
        publish_sets(arguments, own_segment(settings, catalog, made["extraction"], "publish"))


_ATTEMPTS: dict[str, Callable[[Path], None]] = {
    "file": _replace_file,
    "import": _import_set,
    "report": _publish_report,
    "energy": _publish_energy,
    "kept": _publish_kept,
    "staged": _stage_part,
    "sets": _publish_sets,
}
_PLACES = {
    "import": "act-1",
    "report": "radius-*",
    "energy": "energy-*",
    "kept": "run-*/step-*",
    "staged": ".staging/radius-1.parts/search-00000",
    "sets": "act-*00",
}


def visible(kind: str, folder: Path) -> Any:
    """What a reader finds where the attempt publishes: every byte of it checked, or None for nothing."""
    root = settings_of(folder).artifacts_root
    if kind == "file":
        return (root / "file").read_bytes()
    given = set(json.loads((folder / "made.json").read_bytes()).values())
    found = next((path for path in sorted(root.glob(_PLACES[kind])) if path.name not in given), None)
    if found is None:
        return None
    stored = ArtifactFolder(found, sha256_file(found / "manifest.json"))
    names = [entry["name"] for entry in stored.manifest["files"]]
    assert sorted([*names, "manifest.json"]) == sorted(path.name for path in found.iterdir())
    for name in names:
        stored.file(name)
    if kind == "import":
        assert (ActivationSet(found, stored.sha256).vectors() == ROWS).all()
    return sorted(names)
