"""The activation sets that were queried last, ready for the next query."""

from __future__ import annotations

import logging
import resource
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from service.artifacts.activation_set import ActivationSet
from service.artifacts.file_digests import FileDigests
from service.artifacts.report import ReportFolder
from service.catalog import activations
from service.catalog import radius as radius_catalog
from service.catalog.engine import Catalog
from service.contracts.activations import ActivationSummary
from service.errors import CorruptArtifact, NotFound
from service.settings import Settings
from workers.activations.index_cache import cached_flat
from workers.energy.patterns import Patterns, prepare_patterns, tile_order
from workers.neighbors.stored import CentredRows, StoredRows, check_longest, lengths_of, robust_centre

logger = logging.getLogger("radius.query")
Array = np.ndarray
_REPORTS = 20  # the newest of a set, which are searched for one with the distances of all rows
_FILE_BYTES = 2048  # of a file's entry in the manifest, and of its mapping


@dataclass
class ReportDistances:
    """The nearest-neighbour distances of a radius report that one project may read.

    Attributes:
        report: its id; None where none was found yet.
        values: (n,) sorted; empty without a report.
        examined: ids of the reports that were read and do not have the distances of all rows.
    """

    report: str | None = None
    values: Array = field(default_factory=lambda: np.empty(0))
    examined: set[str] = field(default_factory=set)


@dataclass
class ResidentSet:
    """One set: its rows, in memory or mapped, and the distances that each project's queries are compared with."""

    summary: ActivationSummary
    folder: ActivationSet
    patterns: Patterns
    distances: dict[str, ReportDistances] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """Mapped files, each of which holds a descriptor."""
        return len(self.folder.manifest["shard_rows"])

    @property
    def held_bytes(self) -> int:
        """Memory that only eviction frees. Mapped rows are not in it: the system drops their pages when it needs to."""
        entries = _FILE_BYTES * len(self.folder.manifest["files"])
        return _tensor_bytes(self.patterns) + sum(found.values.nbytes for found in self.distances.values()) + entries


class ResidentSets:
    """At most `query_sets` sets that hold at most `query_memory_bytes`; the least recently queried ones are evicted.

    A set whose rows alone are larger than that is streamed from its mapped files, and counts with what it holds beside
    them. The set of the last query always stays.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._digests = FileDigests()
        self._most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._sets: OrderedDict[str, ResidentSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sets)

    @property
    def held_bytes(self) -> int:
        return sum(found.held_bytes for found in self._sets.values())

    def get(self, set_id: str, project: str) -> tuple[ResidentSet, ReportDistances]:
        """The set, loaded if it is not there, and the distances of a report of it that the project may read.

        Raises:
            NotFound, CorruptArtifact: the project has no such set, or it is damaged.
            InvalidInput: a double does not hold its squared distances.
        """
        catalog = self._catalog.of(project)
        with catalog.read() as connection:
            summary, _ = activations.get(connection, set_id)
        found = self._sets.get(set_id)
        if found is None or found.summary.sha256 != summary.sha256:
            self._sets.pop(set_id, None)  # before the next is loaded: both might not fit
            found = self._sets[set_id] = self._load(summary)
        self._sets.move_to_end(set_id)
        distances = found.distances.setdefault(project, ReportDistances())
        if distances.report is None:  # one may have been made since
            self._find_distances(catalog, set_id, distances)
        self._evict()
        return found, distances

    def _load(self, summary: ActivationSummary) -> ResidentSet:
        folder = ActivationSet(self._settings.artifacts_root / summary.id, summary.sha256, self._digests)
        rows, device = StoredRows(folder.mapped_vectors()), torch.device("cpu")
        ids = torch.arange(len(rows))
        if 4 * summary.n * summary.d_model > self._settings.query_memory_bytes:
            patterns = prepare_patterns(rows, device=device, most_bytes=0)
        else:
            index, centre = cached_flat(self._settings.index_cache, summary.sha256, rows), robust_centre(rows, ids)
            check_longest(float(index.norms.max()) / index.scale, [(rows, ids)], centre, squared=True)
            centred = CentredRows(rows, centre, index.scale)
            order = tile_order(lengths_of(centred, ids))
            patterns = Patterns(centred, order, torch.float32, device, torch.from_numpy(index.rows[order.numpy()]))
        patterns.compute_norms()
        return ResidentSet(summary, folder, patterns)

    def _evict(self) -> None:
        while len(self._sets) > 1 and self._exceeds():
            self._sets.popitem(last=False)

    def _exceeds(self) -> bool:
        files = sum(found.files for found in self._sets.values())
        most = self._settings
        return len(self) > most.query_sets or self.held_bytes > most.query_memory_bytes or files > self._most_files

    def _find_distances(self, catalog: Catalog, set_id: str, found: ReportDistances) -> None:
        """Keep the distances of the newest report of all rows among themselves, each certified; read a report once."""
        with catalog.read() as connection:
            page, _ = radius_catalog.page(connection, _REPORTS, None, activations=set_id)
        listed = [row.id for row in page]
        new = [report_id for report_id in listed if report_id not in found.examined]
        found.examined = set(listed)
        for report_id in new:
            distances = self._distances_of(catalog, report_id)
            if distances is not None:
                found.report, found.values = report_id, np.sort(distances)
                return

    def _distances_of(self, catalog: Catalog, report_id: str) -> Array | None:
        """(n,) distances of all rows; None where the report does not have them, is damaged, or was just deleted."""
        try:
            with catalog.read() as connection:
                _, sha256 = radius_catalog.get(connection, report_id)
            folder = ReportFolder(self._settings.artifacts_root / report_id, sha256, self._digests)
            report = folder.report()
            whole = report.fractions[-1]
            exact = report.certified_fraction == 1 and report.exclude == "self" and report.reference is None
            if not exact or whole.fraction != 1 or whole.nn_distance is None:
                return None
            return folder.distances(len(report.fractions) - 1)
        except NotFound:
            return None
        except CorruptArtifact:
            logger.warning("the radius report %s is damaged; no percentile is computed from it", report_id)
            return None


def _tensor_bytes(patterns: Patterns) -> int:
    """Bytes of the rows in memory, and of what was computed from them and kept."""
    held = vars(patterns)
    own = sum(tensor.nbytes for tensor in held.values() if isinstance(tensor, Tensor))
    return own + (_tensor_bytes(held["widened"]) if "widened" in held else 0)
