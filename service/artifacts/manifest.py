"""The manifest of an artifact folder: what it is, and the SHA-256 and size of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from service.artifacts.atomic import sha256_file, write_bytes
from service.artifacts.file_digests import FileDigests
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
        raise CorruptArtifact("the manifest of an artifact is missing") from error
    if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
        raise CorruptArtifact("a manifest does not have its recorded SHA-256")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CorruptArtifact("a manifest is not JSON") from error


def verify_file(folder: Path, entry: dict[str, Any], digests: FileDigests | None = None) -> Path:
    """The path of a manifest's file after checking size and SHA-256; raises `CorruptArtifact`.

    With `digests`, a file that has not changed since it was hashed is not hashed again.
    """
    path = folder / entry["name"]
    hashed = sha256_file if digests is None else digests.sha256
    try:
        unchanged = path.stat().st_size == entry["bytes"] and hashed(path) == entry["sha256"]
    except OSError as error:
        raise CorruptArtifact("a file of an artifact is missing") from error
    if not unchanged:
        raise CorruptArtifact("a file of an artifact does not have its recorded SHA-256")
    return path


@dataclass(frozen=True)
class ArtifactFolder:
    """A published folder, read only. Every file is checked against its SHA-256 before anything is taken from it.

    With `digests` the check of an unchanged file costs nothing; without, its bytes are hashed each time.
    """

    folder: Path
    sha256: str
    digests: FileDigests | None = field(default=None, repr=False, compare=False)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.folder, self.sha256)

    def digest(self, name: str) -> str:
        """The SHA-256 of a file that the manifest lists, or of the manifest; raises `NotFound`."""
        found = {entry["name"]: entry["sha256"] for entry in self.manifest["files"]} | {MANIFEST: self.sha256}
        if name not in found:
            raise NotFound("the artifact has no file of that name", field="name")
        return found[name]

    def file(self, name: str) -> Path:
        """The checked path of a file that the manifest lists; raises `NotFound` or `CorruptArtifact`."""
        for entry in self.manifest["files"]:
            if entry["name"] == name:
                return verify_file(self.folder, entry, self.digests)
        raise NotFound("the artifact has no file of that name", field="name")
