"""A prepared search with the state that its tiles are added to, and the account of its work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from workers.neighbors.candidates import CandidateState
from workers.neighbors.formats import FormatTrial
from workers.neighbors.pairs import Pairs
from workers.neighbors.search import Search


@dataclass(frozen=True)
class SearchWork:
    """The work of each level, for the provenance of a report (the field names are JSON keys of stored reports).

    Attributes:
        format, tile, fused: number format and tile size of the filter, and whether a Triton kernel computed the tiles.
        trials: the measurements by which the format was chosen.
        slot_pairs: pairs that the filter computed.
        candidates: pairs that the filter could not exclude.
        settled: nearest neighbours found, the candidates that are among the k nearest after rescoring.
        duplicates: rows that have an equal row.
        float32_rows: rows with too many candidates in a 16-bit format, searched by the float32 level.
        float64_rows: rows searched by the float64 level: too many candidates, or a contradicted bound.
    """

    format: str
    tile: int
    fused: bool
    trials: list[FormatTrial]
    slot_pairs: int
    candidates: int
    settled: int
    duplicates: int
    float64_rows: int
    float32_rows: int = 0


@dataclass(frozen=True)
class Task:
    """A prepared search.

    Attributes:
        state: the state that every tile is added to, or the merged state of parts.
        query_ids, database_ids: (slots,) row ids, including those of duplicates that left the search.
        duplicates: pairs at distance 0, resolved before the first tile.
    """

    search: Search
    state: CandidateState
    query_ids: Tensor
    database_ids: Tensor
    duplicates: Pairs
    trials: list[FormatTrial]

    def of_queries(self, slots: slice, state: CandidateState) -> Task:
        """The task of some query slots, of whole blocks, which are counted from the first; `state` is theirs."""
        search, ids, zero = self.search.of_queries(slots), self.query_ids[slots], self.duplicates
        zero = zero.take((zero.rows >= slots.start) & (zero.rows < slots.stop))
        zero = replace(zero, rows=zero.rows - slots.start)
        return replace(self, search=search, state=state, query_ids=ids, duplicates=zero)
