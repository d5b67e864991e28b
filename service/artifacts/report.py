"""Writing and reading the folders of radius and energy reports, and of profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from service.artifacts.atomic import write_bytes
from service.artifacts.bounded_cache import BoundedCache
from service.artifacts.manifest import ArtifactFolder, canonical_json, describe_file, write_manifest
from service.artifacts.mapped import map_tensors
from service.contracts.energy_report import EnergyReport, LayerEnergies
from service.contracts.profile import Profile
from service.contracts.radius import RadiusReport
from service.errors import NotFound

Array = np.ndarray
PairOrders = BoundedCache[tuple[str, bool, bool], Array]
REPORT, FIGURE, NEIGHBORS = "report.json", "figure", "neighbors"
_ORDER_BYTES = 64 * 2**20  # in memory; the order of sixteen million rows


def pair_orders(most_bytes: int = _ORDER_BYTES) -> PairOrders:
    """A cache of the orders in which the pairs of reports are listed."""
    return BoundedCache(most_bytes, lambda order: order.nbytes)


def write_report(folder: Path, kind: str, report: RadiusReport | EnergyReport | Profile, files: Sequence[Path]) -> None:
    """Write a report beside its `files`, which must exist, and last the manifest."""
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
        """All tensors behind the report, memory-mapped."""
        return map_tensors(self.file(f"{NEIGHBORS}.safetensors"))

    def distances(self, fraction: int) -> Array:
        """(m,) finite nearest-neighbour distances of the fraction at that position."""
        values = self.tensors[f"nn_distance_{fraction}"]
        return np.asarray(values[np.isfinite(values)])

    def pairs(
        self, *, farthest: bool, start: int, count: int, within: bool = True, orders: PairOrders | None = None
    ) -> tuple[list[tuple[int, int, float]], bool]:
        """`count` pairs (row, nearest row, distance) from rank `start`, and whether more follow.

        `within` one set, of two rows that are each other's nearest one pair is listed. Equal distances are ordered by
        row. With `orders` the order is made for the first page and kept; a page then reads its own rows only.
        """
        key = (self.sha256, farthest, within)
        neighbors = self.tensors  # checked for every page
        order = None if orders is None else orders.get(key)
        if order is None:
            order = self._order(farthest=farthest, within=within)
            if orders is not None:
                orders.put(key, order)
        rows, nearest, distances = neighbors["rows"], neighbors["ids"][:, 0], neighbors["distances"][:, 0]
        chosen = order[start : start + count]
        pairs = [(int(rows[i]), int(nearest[i]), float(distances[i])) for i in chosen]
        return pairs, len(order) > start + count

    def _order(self, *, farthest: bool, within: bool) -> Array:
        """Positions in `rows` of all pairs, in the order of the listing."""
        rows, nearest = self.tensors["rows"], self.tensors["ids"][:, 0]
        distances = self.tensors["distances"][:, 0]
        nearest_of = np.full(int(max(rows.max(initial=-1), nearest.max(initial=-1))) + 1, -1)
        nearest_of[rows] = nearest
        repeated = (nearest_of[nearest] == rows) & (nearest < rows) & within
        kept = np.flatnonzero(np.isfinite(distances) & ~repeated)
        order = kept[_positions_by_key(-distances[kept] if farthest else distances[kept], rows[kept])]
        return order.astype(np.int32 if len(rows) < 2**31 else np.int64)


@dataclass(frozen=True)
class ProfileFolder(ArtifactFolder):
    """The files of a published profile."""

    def profile(self) -> Profile:
        return Profile.model_validate_json(self.file(REPORT).read_bytes())


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
        tensors = map_tensors(self.file("energies.safetensors"))
        if of == "g":
            return tensors[f"g_{layer}"]
        wanted = layers[layer].energies[0].beta if beta is None else beta
        at = np.flatnonzero(tensors["betas"] == wanted)
        if not len(at):
            raise NotFound("the report has no energies at that β", field="beta")
        return tensors[f"{of}_{layer}"][at[0]]


def _positions_by_key(keys: Array, rows: Array) -> Array:
    """Positions by key, equal keys by row; a stable sort of all would take five times as long."""
    order = np.argsort(keys)
    equal = keys[order[1:]] == keys[order[:-1]]
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= equal
    tied[:-1] |= equal
    order[tied] = order[tied][np.lexsort((rows[order[tied]], keys[order[tied]]))]
    return order
