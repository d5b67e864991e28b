"""Three ways in which the product puts files into place, done by a process of their own that may die or be refused."""

# One database: files are published in a copy of a data directory.

from __future__ import annotations

import json
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts import importing
from service.artifacts.activation_set import ActivationSet
from service.artifacts.atomic import publish_folder, sha256_file, write_bytes
from service.artifacts.manifest import ArtifactFolder
from service.catalog.engine import Catalog
from service.errors import RadiusError
from service.settings import Settings
from tests.api.products import measure
from tests.faults.processes import forkserver
from tests.faults.system_calls import Calls, Fault, watch

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
        {"file": _replace_file, "import": _import_set, "report": _publish_report}[kind](folder)
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
    importing._SHARD_BYTES = ROWS.nbytes // 2
    staging = settings.staging_root / "act-1"
    importing.import_vectors(folder / "rows.npy", staging, {"id": "act-1", "name": "mine"})
    publish_folder(staging, settings.artifacts_root / "act-1")


def _publish_report(folder: Path) -> None:
    """As a compute worker does it, with an empty figure."""
    made = json.loads((folder / "made.json").read_bytes())
    catalog = Catalog(settings_of(folder).resolved_database_url)
    measure(settings_of(folder), catalog, made["job"], made["set"], fractions=[1.0])
    catalog.close()


def visible(kind: str, folder: Path) -> Any:
    """What a reader finds where the attempt publishes: every byte of it checked, or None for nothing."""
    root = settings_of(folder).artifacts_root
    if kind == "file":
        return (root / "file").read_bytes()
    found = next(iter(root.glob("act-1" if kind == "import" else "radius-*")), None)
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
