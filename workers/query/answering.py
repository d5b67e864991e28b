"""A query of a set → its answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.contracts.query import NearRow, QueryAnswer, QueryRequest, QueryResult
from service.errors import InvalidInput
from service.settings import Settings
from workers.energy.evaluation import evaluate
from workers.energy.query_block import Energies
from workers.neighbors.stored import StoredRows
from workers.neighbors.ticking import Tick
from workers.query.embedding import embed
from workers.query.resident import ReportDistances, ResidentSet

Array = np.ndarray
Known = dict[str, Any]
_NO_REPORT = "percentile is null: no exact radius report of the whole set was found; a radius job makes one"


def answer(
    resident: ResidentSet,
    distances: ReportDistances,
    request: QueryRequest,
    settings: Settings,
    tick: Tick = lambda share: None,
) -> QueryAnswer:
    """Distances, energies and nearest rows of every text or vector; an exception that `tick` raises ends the work.

    Raises:
        InvalidInput: a text or vector does not fit this set, or a double does not hold its squared distances.
    """
    lengths: list[int | None]
    if request.texts is not None:
        vectors, found = embed(resident.folder, request.texts, settings, tick)
        lengths = list(found)
    else:
        vectors = np.asarray(request.vectors, dtype=np.float64)
        lengths = [None] * len(vectors)
    try:
        energies = evaluate(resident.patterns, StoredRows(vectors), [request.beta], k=request.k, tick=tick)
    except InvalidInput as error:
        raise type(error)(error.detail, field="texts" if request.vectors is None else "vectors") from error
    rows = _rows(resident, energies)
    summary = resident.summary
    return QueryAnswer(
        activations=summary.id,
        n=summary.n,
        d_model=summary.d_model,
        site=summary.site,
        beta=request.beta,
        percentile_of=distances.report,
        results=[_result(energies, at, distances.values, tokens, rows) for at, tokens in enumerate(lengths)],
        notes=_notes(resident, distances, request),
    )


def _result(
    energies: Energies, at: int, nn_distances: Array, tokens: int | None, rows: dict[int, Known]
) -> QueryResult:
    distances, ids = energies.distances[at].tolist(), energies.ids[at].tolist()
    below = np.searchsorted(nn_distances, distances[0], side="right")
    return QueryResult(
        nn_distance=distances[0],
        radius=distances[0] / 2,
        g=distances[0] ** 2,
        energy=float(energies.energy[0, at]),
        energy_mchn=float(energies.energy_mchn[0, at]),
        percentile=100 * float(below) / len(nn_distances) if len(nn_distances) else None,
        tokens=tokens,
        neighbors=[_near(rows[row], distance) for row, distance in zip(ids, distances, strict=True) if row >= 0],
    )


def _near(known: Known, distance: float) -> NearRow:
    return NearRow.model_validate(known | {"distance": distance})


def _rows(resident: ResidentSet, energies: Energies) -> dict[int, Known]:
    """What is known of each row that is near a query: its document and text, and where in it its token is."""
    wanted = sorted({int(row) for row in energies.ids.ravel() if row >= 0})
    length, fields = {"tokens": _chunk_tokens(resident)}, set(NearRow.model_fields)
    return {row.row: row.model_dump(include=fields) | length for row in resident.folder.rows(wanted)}


def _chunk_tokens(resident: ResidentSet) -> int | None:
    """Tokens of a row's text; None for imported vectors."""
    extraction = resident.folder.manifest.get("extraction")
    return None if extraction is None else int(extraction["chunk_tokens"])


def _notes(resident: ResidentSet, distances: ReportDistances, request: QueryRequest) -> list[str]:
    notes = [] if distances.report is not None else [_NO_REPORT]
    tokens = _chunk_tokens(resident)
    if request.texts is not None and tokens is not None:
        notes.append(f"the set's rows were read in chunks of {tokens} tokens; a text of another length compares less")
    return notes
