"""Everything that comes before the first tile: rows centred, laid out and encoded."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.neighbors.candidates import Prefixes
from workers.neighbors.encoding import Encoding, choose_encoding
from workers.neighbors.filtering import Search
from workers.neighbors.layout import BLOCK, Layout, lay_out
from workers.neighbors.plan import FormatTrial, choose_format
from workers.neighbors.side import Side, encode_side
from workers.neighbors.stored import CentredRows, StoredRows, centre_rows

Array = np.ndarray
_TILE = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Means:
    """With what to search. The answer does not depend on it.

    Attributes:
        format: of the filter; None measures which is fastest here.
        tile: slots on a side of a tile, a multiple of 64; 0 for the device's default.
        resident: keep the encoded rows in memory: 1/2 of float32 rows in a 16-bit format. Else they are encoded again
            for every panel of queries, and memory does not grow with d.
        fused: tiles by a Triton kernel; None: on a GPU where Triton is there.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    format: torch.dtype | None = None
    tile: int = 0
    resident: bool = True
    fused: bool | None = None


@dataclass(frozen=True)
class Ground:
    """What was decided before: where rows are centred, and how the filter writes them.

    Attributes:
        centre, scale: see `CentredRows`; parts of one search that share them can be merged.
        format, split: see `Encoding`; parts may differ in them.
    """

    centre: Tensor
    scale: float
    format: torch.dtype
    split: Tensor

    def encoding(self, device: torch.device) -> Encoding:
        return Encoding(len(self.centre), self.format, self.split.to(device), device)


def prepare_search(
    stored: StoredRows,
    order: Tensor,
    sizes: Sequence[int],
    *,
    k: int,
    codes: Array | None = None,
    queries: StoredRows | None = None,
    query_codes: Array | None = None,
    means: Means,
    ground: Ground | None = None,
    filtering: bool = True,
) -> tuple[Search, list[FormatTrial]]:
    """Centre, choose the format and encode; arguments as `exact.exact_neighbors`.

    On a given `ground` neither is done again. Without `filtering` nothing is encoded: enough for what comes after.
    """
    tile = means.tile or _TILE[means.device.type]
    if tile % BLOCK:
        raise InvalidInput(f"a tile is a multiple of {BLOCK} slots", field="tile")
    asking = order if queries is None else torch.arange(len(queries))
    sets = [(stored, order)] if queries is None else [(stored, order), (queries, asking)]
    if ground is None:
        centred = centre_rows(sets)
        encoding, trials = _encoding(centred[0], order, len(asking), k, means)
    else:
        centred = [CentredRows(rows, ground.centre, ground.scale) for rows, _ in sets]
        encoding, trials = ground.encoding(means.device), []
    database_codes, asking_codes = _codes(len(stored), codes, queries, query_codes)
    sides = []
    for rows, layout, of_rows in [
        (centred[0], lay_out(order, sizes), database_codes),
        *([] if queries is None else [(centred[-1], lay_out(asking, [len(asking)]), asking_codes)]),
    ]:
        at = of_rows[layout.ids.clamp(min=0)]
        sides.append(
            encode_side(rows, layout, at, encoding, resident=means.resident)
            if filtering
            else _plain_side(rows, layout, at, encoding)
        )
    database, asks = sides[0], sides[-1]
    fused = _fuse(means) and encoding.dtype != torch.float32
    of_row, of_column = (side.layout.slot_prefixes.to(means.device) for side in (asks, database))
    return Search(asks, database, Prefixes(of_row, of_column, len(sizes)), codes is None, k, tile, fused), trials


def _plain_side(rows: CentredRows, layout: Layout, codes: Tensor, encoding: Encoding) -> Side:
    """A side that nothing filters any more."""
    none = torch.zeros(layout.slots, device=encoding.device)
    return Side(rows, layout, codes.to(encoding.device), encoding, none, none.clone(), None)


def _encoding(
    rows: CentredRows, order: Tensor, queries: int, k: int, means: Means
) -> tuple[Encoding, list[FormatTrial]]:
    if means.format is None:
        return choose_format(rows, order, means.device, queries, k)
    sample = rows.take(order[:: max(1, len(order) // 1000)])
    return choose_encoding(sample, means.format, means.device), []


def _codes(n: int, codes: Array | None, queries: StoredRows | None, query_codes: Array | None) -> tuple[Tensor, Tensor]:
    database = torch.arange(n) if codes is None else torch.from_numpy(np.asarray(codes, dtype=np.int64))
    if queries is None:
        return database, database
    if query_codes is None:
        return database, torch.full((len(queries),), torch.iinfo(torch.int64).min)
    return database, torch.from_numpy(np.asarray(query_codes, dtype=np.int64))


def _fuse(means: Means) -> bool:
    if means.fused is not None:
        return means.fused
    return means.device.type == "cuda" and importlib.util.find_spec("triton") is not None
