"""The folder of one radius report, read only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from service.artifacts.manifest import read_manifest, verify_file
from service.contracts.radius import RadiusReport
from service.errors import NotFound

Array = np.ndarray


@dataclass(frozen=True)
class ReportFolder:
    """Files of a published report; each is checked against its SHA-256 before it is read."""

    folder: Path
    sha256: str

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.folder, self.sha256)

    def file(self, name: str) -> Path:
        """The checked path of one file; raises `NotFound` or `CorruptArtifact`."""
        for entry in self.manifest["files"]:
            if entry["name"] == name:
                return verify_file(self.folder, entry)
        raise NotFound("the report has no file of that name")

    def report(self) -> RadiusReport:
        return RadiusReport.model_validate_json(self.file("report.json").read_bytes())

    @cached_property
    def tensors(self) -> dict[str, Array]:
        return load_file(self.file("neighbors.safetensors"))

    def distances(self, fraction: int) -> Array:
        """(m,) finite nearest-neighbour distances of the fraction at that position."""
        values = self.tensors[f"nn_distance_{fraction}"]
        return values[np.isfinite(values)]

    def pairs(self, *, farthest: bool, start: int, count: int) -> tuple[list[tuple[int, int, float]], bool]:
        """`count` pairs (row, nearest row, distance) from rank `start`, and whether more follow.

        Of two rows that are each other's nearest, one pair is listed. Equal distances are ordered by row.
        """
        rows, nearest = self.tensors["rows"], self.tensors["ids"][:, 0]
        distances = self.tensors["distances"][:, 0]
        nearest_of = np.full(int(rows.max(initial=-1)) + 1, -1)
        nearest_of[rows] = nearest
        repeated = (nearest_of[nearest] == rows) & (nearest < rows)
        kept = np.flatnonzero(np.isfinite(distances) & ~repeated)
        key = -distances[kept] if farthest else distances[kept]
        order = kept[np.lexsort((rows[kept], key))]
        chosen = order[start : start + count]
        pairs = [(int(rows[i]), int(nearest[i]), float(distances[i])) for i in chosen]
        return pairs, len(order) > start + count
