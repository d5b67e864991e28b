"""A radius spec → neighbours: which engine searches, in what, and what it says of its work."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from service.artifacts.activation_set import ActivationSet
from service.catalog import activations
from service.contracts.radius import RadiusSpec
from service.settings import Settings
from workers.activations.index_cache import cached_flat
from workers.devices.device import choose_device, describe_device
from workers.flows.runtime import runtime
from workers.neighbors.answers import Neighbors
from workers.neighbors.approximation import Approximation, measure_approximation
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.faiss_index import Kind
from workers.neighbors.faiss_search import faiss_neighbors
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick

Array = np.ndarray
_REASONS = {
    "auto": "auto: exact on this device, and faster than faiss-flat on the same answer",
    "exact": "asked for: every row certified",
    "faiss-flat": "asked for: FAISS's flat index, candidates re-scored in float64, doubtful rows by the exact engine",
    "faiss-ivf": "asked for: approximate; recall and bias are measured on a sample",
    "faiss-hnsw": "asked for: approximate; recall and bias are measured on a sample",
}


@dataclass(frozen=True)
class Found:
    """Neighbours per fraction, and how they were found.

    Attributes:
        engine, reason: which engine searched, and why.
        approximations: per fraction, of an approximate engine.
        counts: (n, radii) rows within each asked radius; None when none was asked.
        work: what the engine says of its work, for the provenance.
        search_s, count_s: seconds of work from centring to the last certified row, and for the counts; of a search in
            parts the sum over plan, parts, merging and settling.
        searched_sha256: of the set that was searched.
        wall_s: of a search in parts: from its plan on, by the clocks of the workers, waiting included; else None.
    """

    parts: list[Neighbors]
    engine: str
    reason: str
    approximations: list[Approximation | None]
    counts: Array | None
    work: dict[str, Any]
    search_s: float
    count_s: float
    searched_sha256: str
    wall_s: float | None = None


@dataclass(frozen=True)
class SearchInput:
    """The rows that ask and the rows searched in.

    Attributes:
        queries: the set's rows.
        database: the same object, or the reference's rows.
        codes, query_codes: (n,) document codes where documents are excluded.
        sha256: of the database, the key of its cached index.
    """

    queries: StoredRows
    database: StoredRows
    codes: Array | None
    query_codes: Array | None
    sha256: str


def read_input(spec: RadiusSpec, source: ActivationSet, reference: ActivationSet | None) -> SearchInput:
    """Map the rows. Documents of two sets are the same when their ids are, so they are compared by id."""
    queries = StoredRows(source.mapped_vectors())
    database = queries if reference is None else StoredRows(reference.mapped_vectors())
    by_document = spec.exclude == "same_document"
    if reference is None:
        return SearchInput(queries, database, source.document_codes() if by_document else None, None, source.sha256)
    codes, query_codes = _common_codes(reference, source) if by_document else (None, None)
    return SearchInput(queries, database, codes, query_codes, reference.sha256)


def search(given: SearchInput, spec: RadiusSpec, settings: Settings, tick: Tick) -> Found:
    """Search as the spec says; `tick` is told the share done."""
    question, options = question_of(given, spec), options_of(settings, given)
    began = time.perf_counter()
    searching = tick if spec.radii is None else lambda share: tick(share / 2)
    engine: Kind | Literal["exact"] = "exact" if spec.engine in ("auto", "exact") else spec.engine
    approximations: list[Approximation | None] = [None] * len(question.sizes)
    if engine == "exact":
        parts, work = exact_neighbors(question, options, searching)
    else:
        index = cached_flat(settings.index_cache, given.sha256, given.database)
        parts, work = faiss_neighbors(engine, question, index, searching)
    search_s = time.perf_counter() - began
    if engine in ("faiss-ivf", "faiss-hnsw"):
        rows = settings.approximation_rows
        approximations = measure_approximation(question, parts, rows=rows, options=options)
    counted, counts = time.perf_counter(), None
    if spec.radii is not None:
        counts = count_within(question, spec.radii, options, tick=lambda share: tick(0.5 + share / 2))
    about = asdict(work) | {"engine_asked": spec.engine, "resident": options.resident}
    about |= {"on": describe_device(options.device)}
    count_s = time.perf_counter() - counted
    return Found(parts, engine, reason_of(spec), approximations, counts, about, search_s, count_s, given.sha256)


def sets_of(spec: RadiusSpec) -> tuple[ActivationSet, ActivationSet | None]:
    """The folders of the set that asks and, where there is one, of the set searched in."""
    current = runtime()

    def stored(set_id: str) -> ActivationSet:
        summary, _ = current.read(lambda connection: activations.get(connection, set_id))
        return ActivationSet(current.artifact(summary.id), summary.sha256)

    alone = spec.reference is None or spec.reference == spec.activations
    return stored(spec.activations), None if alone else stored(spec.reference or "")


def question_of(given: SearchInput, spec: RadiusSpec) -> Question:
    """The search that the spec describes: a seeded order of the rows, and the sizes of its fractions."""
    n = len(given.database)
    return Question(
        given.database,
        seeded_permutation(n, spec.seed),
        prefix_sizes(n, spec.fractions),
        k=spec.k,
        codes=given.codes,
        queries=None if given.queries is given.database else given.queries,
        query_codes=given.query_codes,
    )


def options_of(settings: Settings, given: SearchInput) -> SearchOptions:
    """The device, and whether the encoded rows fit into what a search may take."""
    encoded_bytes = len(given.database) * given.database.d * 2
    return SearchOptions(device=choose_device(settings.device), resident=encoded_bytes <= settings.search_memory_bytes)


def reason_of(spec: RadiusSpec) -> str:
    """Why that engine searches."""
    return _REASONS[spec.engine]


def _common_codes(reference: ActivationSet, source: ActivationSet) -> tuple[Array | None, Array | None]:
    """Codes of both sets' documents, equal where the documents' ids are; None where a set has no documents."""
    ids = [stored.document_ids() for stored in (reference, source)]
    if ids[0] is None or ids[1] is None:
        return None, None
    _, codes = np.unique(np.concatenate([np.asarray(part) for part in ids]), return_inverse=True)
    return codes[: len(ids[0])], codes[len(ids[0]) :]
