"""A radius spec → the question that is searched, and its answer by one worker: neighbours, counts, work done."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from service.artifacts.activation_set import ActivationSet
from service.catalog import activations
from service.contracts.radius import LISTED, RadiusSpec
from service.settings import Settings
from workers.activations.index_cache import cached_flat
from workers.devices.device import choose_device
from workers.flows.engine.runtime import Runtime
from workers.flows.radius.account import SearchAccount, kernel_reason
from workers.neighbors.answers import Neighbors
from workers.neighbors.approximation import Approximation, measure_approximation
from workers.neighbors.counting import count_within
from workers.neighbors.exact import exact_neighbors
from workers.neighbors.faiss_search import FaissWork, faiss_neighbors
from workers.neighbors.nested import nested_answers
from workers.neighbors.options import SearchOptions
from workers.neighbors.permutation import prefix_sizes, seeded_permutation
from workers.neighbors.question import Question
from workers.neighbors.stored import StoredRows
from workers.neighbors.task import SearchWork
from workers.neighbors.ticking import Tick

Array = np.ndarray
FEW = 4  # neighbours in each fraction, enough for rows of two documents in most lists
_REASONS = {
    "auto": "auto: exact on this device, and faster than faiss-flat on the same answer",
    "exact": "asked for: every row certified",
    "faiss-flat": "asked for: FAISS's flat index, candidates re-scored in float64, doubtful rows by the exact engine",
    "faiss-ivf": "asked for: approximate; recall and bias are measured on a sample",
    "faiss-hnsw": "asked for: approximate; recall and bias are measured on a sample",
}


@dataclass(frozen=True)
class SetSearch:
    """A radius spec and the sets it names, opened.

    Attributes:
        queries: the set whose rows are the queries.
        database: the set searched in: the same object, or the reference.
        question: what is searched; its queries are None where both sets are the same.
    """

    spec: RadiusSpec
    queries: ActivationSet
    database: ActivationSet
    question: Question

    @property
    def within(self) -> bool:
        """Whether a set is searched among itself."""
        return self.database is self.queries

    @property
    def searched(self) -> Question:
        """What one pass searches: with statistics longer lists of the largest fraction, which hold all fractions."""
        if not self.spec.statistics:
            return self.question
        return replace(self.question, sizes=self.question.sizes[-1:], k=max(LISTED, self.spec.k))

    def lists(self, parts: list[Neighbors], options: SearchOptions) -> list[Neighbors]:
        """The neighbours in every fraction, from the answer to `searched`: those asked for, or with statistics more."""
        if not self.spec.statistics:
            return parts
        few = replace(self.question, sizes=self.question.sizes[:-1], k=max(FEW, self.spec.k))
        return [*nested_answers(few, parts[-1], options), parts[-1]]

    @property
    def query_rows(self) -> int:
        """Number of the set's rows."""
        return len(self.question.queries or self.question.database)

    def options(self, settings: Settings) -> SearchOptions:
        """The device, and whether the encoded rows fit into the memory that a search may take."""
        rows = self.question.database
        resident = len(rows) * rows.d * 2 <= settings.search_memory_bytes
        return SearchOptions(device=choose_device(settings.device), resident=resident)


@dataclass(frozen=True)
class Found:
    """Neighbours per fraction, and how they were found.

    Attributes:
        lists: as long as they were searched.
        k: neighbours that the spec asks for.
        engine, reason: which engine searched, and why.
        approximations: per fraction, of an approximate engine.
        counts: (n, radii) rows within each requested radius; None when none was requested.
        account: how the search was done.
        search_s, count_s: seconds of work from centring to the last certified row, and for the counts; of a search in
            parts the sum over plan, parts, merging and rescoring.
        wall_s: of a search in parts: seconds from its plan on, by the clocks of the workers, waiting included; else
            None.
    """

    lists: list[Neighbors]
    k: int
    engine: str
    reason: str
    approximations: list[Approximation | None]
    counts: Array | None
    account: SearchAccount
    search_s: float
    count_s: float
    wall_s: float | None = None

    @cached_property
    def parts(self) -> list[Neighbors]:
        """The lists as long as the spec asks for."""
        return [part.first(self.k) for part in self.lists]


def open_search(spec: RadiusSpec, runtime: Runtime) -> SetSearch:
    """Open and map the sets of a spec. Documents of two sets are the same when their ids are equal.

    Raises:
        NotFound: a set was deleted.
        CorruptArtifact: a file of a set is damaged.
    """
    queries = _stored(spec.activations, runtime)
    database = queries
    if spec.reference not in (None, spec.activations):
        database = _stored(spec.reference, runtime)
    rows = StoredRows(database.mapped_vectors())
    codes, query_codes = _document_codes(database, queries) if spec.exclude == "same_document" else (None, None)
    question = Question(
        rows,
        seeded_permutation(len(rows), spec.seed),
        prefix_sizes(len(rows), spec.fractions),
        k=spec.k,
        codes=codes,
        queries=None if database is queries else StoredRows(queries.mapped_vectors()),
        query_codes=query_codes,
    )
    return SetSearch(spec, queries, database, question)


def search(sets: SetSearch, settings: Settings, tick: Tick) -> Found:
    """Search with the engine of the spec, and count within its radii; `tick` gets the share that is done."""
    spec, question, options = sets.spec, sets.question, sets.options(settings)
    began = time.perf_counter()
    search_tick = tick if spec.radii is None else lambda share: tick(share / 2)
    approximations: list[Approximation | None] = [None] * len(question.sizes)
    engine = "exact" if spec.engine in ("auto", "exact") else spec.engine
    if engine == "exact":
        found, work = exact_neighbors(sets.searched, options, tick=search_tick)
    else:
        index = cached_flat(settings.index_cache, sets.database.sha256, question.database)
        found, work = faiss_neighbors(engine, sets.searched, index, search_tick, options.device)
    search_s = time.perf_counter() - began
    lists = sets.lists(found, options)
    if engine in ("faiss-ivf", "faiss-hnsw"):
        approximations = measure_approximation(question, lists, rows=settings.approximation_rows, options=options)
    counting, counts = time.perf_counter(), None
    if spec.radii is not None:
        counts = count_within(question, spec.radii, options, tick=lambda share: tick(0.5 + share / 2))
    return Found(
        lists=lists,
        k=sets.spec.k,
        engine=engine,
        reason=reason_of(spec),
        approximations=approximations,
        counts=counts,
        account=SearchAccount(work, spec.engine, options.resident, options.device, _kernel_reason(work, options)),
        search_s=search_s,
        count_s=time.perf_counter() - counting,
    )


def _kernel_reason(work: SearchWork | FaissWork, options: SearchOptions) -> str:
    if not isinstance(work, SearchWork) or work.format == "none":
        return ""
    return kernel_reason(options.device, getattr(torch, work.format))


def reason_of(spec: RadiusSpec) -> str:
    """Why that engine searches."""
    return _REASONS[spec.engine]


def _stored(set_id: str | None, runtime: Runtime) -> ActivationSet:
    assert set_id is not None
    summary, _ = runtime.read(lambda connection: activations.get(connection, set_id))
    return ActivationSet(runtime.artifact(summary.id), summary.sha256)


def _document_codes(database: ActivationSet, queries: ActivationSet) -> tuple[Array | None, Array | None]:
    """Codes of the documents of both sets, equal where the documents' ids are; None where a set has no documents."""
    if database is queries:
        return database.document_codes(), None
    ids = database.document_ids(), queries.document_ids()
    if ids[0] is None or ids[1] is None:
        return None, None
    _, codes = np.unique(np.concatenate([np.asarray(part) for part in ids]), return_inverse=True)
    return codes[: len(ids[0])], codes[len(ids[0]) :]
