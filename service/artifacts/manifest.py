"""The manifest of an artifact folder: what it is, and the SHA-256 and size of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from service.artifacts.atomic import sha256_file, write_bytes
from service.errors import CorruptArtifact, NotFound

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


def describe_file(path: Path) -> dict[str, Any]:
    """`{"name", "bytes", "sha256"}` of a finished file."""
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def digest_of(digests: Iterable[str]) -> str:
    """One SHA-256 for several, in their order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def canonical_json(content: Any) -> bytes:
    """JSON that is the same for equal content: sorted keys, no NaN."""
    return json.dumps(content, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1).encode()


def write_manifest(folder: Path, content: dict[str, Any]) -> str:
    """Write `folder`'s manifest last of all its files; returns its SHA-256."""
    body = canonical_json({"format_version": FORMAT_VERSION, **content})
    write_bytes(folder / MANIFEST, body)
    return hashlib.sha256(body).hexdigest()


def read_manifest(folder: Path, sha256: str | None = None) -> dict[str, Any]:
    """The manifest of `folder`, checked against `sha256` where given.

    Raises:
        CorruptArtifact: it is missing, or not the file that was recorded.
    """
    try:
        body = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise CorruptArtifact("an artifact has lost its manifest") from error
    if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
        raise CorruptArtifact("a manifest does not have its recorded SHA-256")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CorruptArtifact("a manifest is not JSON") from error


def verify_file(folder: Path, entry: dict[str, Any]) -> Path:
    """The path of a manifest's file after checking size and SHA-256; raises `CorruptArtifact`."""
    path = folder / entry["name"]
    try:
        sound = path.stat().st_size == entry["bytes"] and sha256_file(path) == entry["sha256"]
    except OSError as error:
        raise CorruptArtifact("a file of an artifact is missing") from error
    if not sound:
        raise CorruptArtifact("a file of an artifact does not have its recorded SHA-256")
    return path


@dataclass(frozen=True)
class ArtifactFolder:
    """A published folder, read only. Every file is checked against its SHA-256 before anything is taken from it."""

    folder: Path
    sha256: str

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.folder, self.sha256)

    def file(self, name: str) -> Path:
        """The checked path of a file that the manifest lists; raises `NotFound` or `CorruptArtifact`."""
        for entry in self.manifest["files"]:
            if entry["name"] == name:
                return verify_file(self.folder, entry)
        raise NotFound("the artifact has no file of that name", field="name")
