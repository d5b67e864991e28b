"""The activation sets that were asked lately, ready for the next question."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import torch

from service.artifacts.activation_set import ActivationSet
from service.artifacts.report import ReportFolder
from service.catalog import activations
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.activations import ActivationSummary
from service.settings import Settings
from workers.activations.index_cache import cached_flat
from workers.energy.patterns import Patterns, prepare_patterns
from workers.neighbors.stored import CentredRows, StoredRows, robust_centre

Array = np.ndarray
_REPORTS_LOOKED_AT = 20


@dataclass
class ResidentSet:
    """One set: its rows centred in memory, and the sorted nearest-neighbour distances of a radius report."""

    summary: ActivationSummary
    folder: ActivationSet
    patterns: Patterns
    report: str | None = None
    nn_distances: Array = field(default_factory=lambda: np.empty(0))

    @property
    def held_bytes(self) -> int:
        return 0 if self.patterns.resident is None else self.patterns.resident.nbytes


class ResidentSets:
    """Least recently asked sets leave when `query_memory_bytes` is full; one larger than that streams from disk."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._sets: OrderedDict[str, ResidentSet] = OrderedDict()

    def get(self, set_id: str) -> ResidentSet:
        """The set, loaded if it is not there; raises `NotFound` or `CorruptArtifact`."""
        with self._catalog.read() as connection:
            summary, _ = activations.get(connection, set_id)
        found = self._sets.get(set_id)
        if found is None or found.summary.sha256 != summary.sha256:
            found = self._load(summary)
            self._sets[set_id] = found
        self._sets.move_to_end(set_id)
        self._make_room()
        if found.report is None:  # one may have been made since
            self._find_distances(found)
        return found

    def _load(self, summary: ActivationSummary) -> ResidentSet:
        folder = ActivationSet(self._settings.artifacts_root / summary.id, summary.sha256)
        rows, device = StoredRows(folder.mapped_vectors()), torch.device("cpu")
        if 4 * summary.n * summary.d_model > self._settings.query_memory_bytes:
            return ResidentSet(summary, folder, prepare_patterns(rows, device=device))
        index = cached_flat(self._settings.index_cache, summary.sha256, rows)
        centred = CentredRows(rows, robust_centre(rows, torch.arange(len(rows))), index.scale)
        patterns = Patterns(centred, torch.float32, device, resident=torch.from_numpy(index.rows))
        patterns.compute_norms()
        return ResidentSet(summary, folder, patterns)

    def _make_room(self) -> None:
        most = self._settings.query_memory_bytes
        while len(self._sets) > 1 and sum(found.held_bytes for found in self._sets.values()) > most:
            self._sets.popitem(last=False)

    def _find_distances(self, found: ResidentSet) -> None:
        """The newest report of the whole set among itself, every row certified."""
        with self._catalog.read() as connection:
            page, _ = radius_catalog.page(connection, _REPORTS_LOOKED_AT, None, activations=found.summary.id)
            hashes = {row.id: radius_catalog.get(connection, row.id)[1] for row in page}
        for report_id, sha256 in hashes.items():
            folder = ReportFolder(self._settings.artifacts_root / report_id, sha256)
            report = folder.report()
            whole = report.fractions[-1]
            exact = report.certified_fraction == 1 and report.exclude == "self" and report.reference is None
            if exact and whole.fraction == 1 and whole.nn_distance is not None:
                found.report, found.nn_distances = report_id, np.sort(folder.distances(len(report.fractions) - 1))
                return
