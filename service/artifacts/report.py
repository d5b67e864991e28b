"""The folders of a radius report and of an energy report: writing, and reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from service.artifacts.atomic import write_bytes
from service.artifacts.manifest import ArtifactFolder, canonical_json, describe_file, write_manifest
from service.contracts.energy_report import EnergyReport, LayerEnergies
from service.contracts.radius import RadiusReport
from service.errors import NotFound

Array = np.ndarray
REPORT, FIGURE = "report.json", "figure"


def write_report(folder: Path, kind: str, report: RadiusReport | EnergyReport, files: Sequence[Path]) -> None:
    """Write a report beside its `files`, which are there already, and last the manifest."""
    write_bytes(folder / REPORT, canonical_json(report.model_dump(mode="json")))
    described = [describe_file(path) for path in (folder / REPORT, *files)]
    write_manifest(folder, {"kind": kind, "id": report.id, "files": described})


@dataclass(frozen=True)
class ReportFolder(ArtifactFolder):
    """The files of a published report."""

    def report(self) -> RadiusReport:
        return RadiusReport.model_validate_json(self.file(REPORT).read_bytes())

    @cached_property
    def tensors(self) -> dict[str, Array]:
        return load_file(self.file("neighbors.safetensors"))

    def distances(self, fraction: int) -> Array:
        """(m,) finite nearest-neighbour distances of the fraction at that position."""
        values = self.tensors[f"nn_distance_{fraction}"]
        return values[np.isfinite(values)]

    def pairs(
        self, *, farthest: bool, start: int, count: int, within: bool = True
    ) -> tuple[list[tuple[int, int, float]], bool]:
        """`count` pairs (row, nearest row, distance) from rank `start`, and whether more follow.

        `within` one set, of two rows that are each other's nearest one pair is listed. Equal distances are ordered by
        row.
        """
        rows, nearest = self.tensors["rows"], self.tensors["ids"][:, 0]
        distances = self.tensors["distances"][:, 0]
        nearest_of = np.full(int(rows.max(initial=-1)) + 1, -1)
        nearest_of[rows] = nearest
        repeated = np.isin(nearest, rows) & (nearest < rows) & within
        repeated[repeated] = nearest_of[nearest[repeated]] == rows[repeated]
        kept = np.flatnonzero(np.isfinite(distances) & ~repeated)
        key = -distances[kept] if farthest else distances[kept]
        order = kept[np.lexsort((rows[kept], key))]
        chosen = order[start : start + count]
        pairs = [(int(rows[i]), int(nearest[i]), float(distances[i])) for i in chosen]
        return pairs, len(order) > start + count


@dataclass(frozen=True)
class EnergyFolder(ArtifactFolder):
    """The files of a published energy report."""

    def report(self) -> EnergyReport:
        return EnergyReport.model_validate_json(self.file(REPORT).read_bytes())

    def values(self, of: str, layer: int, layers: list[LayerEnergies], beta: float | None) -> Array:
        """(q,) g, or an energy at one β, of every point among the patterns of the set at position `layer`.

        Raises:
            NotFound: the report has no such layer, or no energies at that β.
        """
        if layer >= len(layers):
            raise NotFound("the report has no layer of that position", field="layer")
        tensors = load_file(self.file("energies.safetensors"))
        if of == "g":
            return tensors[f"g_{layer}"]
        wanted = layers[layer].energies[0].beta if beta is None else beta
        at = np.flatnonzero(tensors["betas"] == wanted)
        if not len(at):
            raise NotFound("the report has no energies at that β", field="beta")
        return tensors[f"{of}_{layer}"][at[0]]
