"""Preparation of a search before its first tile: rows are centred, laid out in slots and encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.devices.memory import free_bytes
from workers.neighbors.candidates import Prefixes
from workers.neighbors.device_rows import rows_on
from workers.neighbors.encoding import Encoding, choose_encoding
from workers.neighbors.formats import FormatTrial, choose_format
from workers.neighbors.layout import BLOCK, Layout, laid_out, lay_out
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.sampling import spread
from workers.neighbors.search import Search
from workers.neighbors.self_test import kernel_state
from workers.neighbors.shifting import shifted
from workers.neighbors.side import Side, encode_side
from workers.neighbors.stored import CentredRows, centre_rows

_TILE = {"cpu": 2560, "cuda": 8192}
_FLOAT32_TILE = 2048  # on a CPU, where its products take most of the time: smaller tiles waste less on the diagonal
_ENCODED_SHARE = 0.5  # of the free memory
_SAMPLED = 1000  # rows, for an encoding in a format that was asked for


@dataclass(frozen=True)
class Preparation:
    """The centre, scale, layout and number format that an earlier search chose; with them none is chosen again.

    Attributes:
        centre, scale: see `CentredRows`; the parts of one search must share them, or they cannot be merged.
        ids: (slots,) int64 row of each slot of the database; the parts must share them too.
        format, split: see `Encoding`; the parts of one search may differ in them.
    """

    centre: Tensor
    scale: float
    ids: Tensor
    format: torch.dtype
    split: Tensor

    @classmethod
    def of(cls, database: Side) -> Preparation:
        """The preparation of the database of a search, none of whose slots was emptied."""
        rows, encoding, ids = database.rows, database.encoding, database.layout.ids
        return cls(rows.centre.cpu(), rows.scale, ids.to("cpu", copy=True), encoding.dtype, encoding.split.cpu())

    def encoding(self, device: torch.device) -> Encoding:
        """The encoding on a device."""
        return Encoding(len(self.centre), self.format, self.split.to(device), device)


def prepare_search(
    question: Question, options: SearchOptions, *, fixed: Preparation | None = None, encode: bool = True
) -> tuple[Search, list[FormatTrial]]:
    """Centre the rows, choose the filter's format, lay the rows out in slots and encode them.

    Args:
        fixed: centre, scale, layout and format to use; None chooses them.
        encode: False skips the encoding: enough to merge states and to rescore candidates, not to filter.

    Returns:
        The search, and what was measured to choose the format.
    """
    if options.tile % BLOCK:
        raise InvalidInput(f"a tile is a multiple of {BLOCK} slots", field="tile")
    device = options.device
    order, query_ids = question.order.to(device), question.query_ids.to(device)
    sets = [(rows_on(question.database, device), order)]
    if question.queries is not None:
        sets.append((rows_on(question.queries, device), query_ids))
    resident = options.resident and _fits(question, device)
    if fixed is None:
        centred, lengths = centre_rows(sets)
        encoding, trials = _choose_encoding(centred[0], order, len(query_ids), question.k, options)
        slots = lay_out(order, question.sizes, lengths)
    else:
        centred = [CentredRows(rows, fixed.centre.to(device), fixed.scale) for rows, _ in sets]
        encoding, trials = fixed.encoding(device), []
        slots = laid_out(fixed.ids.to(device, copy=True), question.sizes)

    def side(rows: CentredRows, layout: Layout, codes: Tensor) -> Side:
        slot_codes = codes.to(device)[layout.ids.clamp(min=0)]
        if encode:
            return encode_side(rows, layout, slot_codes, encoding, resident=resident)
        return _unencoded_side(rows, layout, slot_codes, encoding)

    database_codes, query_codes = _codes(question)
    database = queries = side(centred[0], slots, database_codes)
    if question.queries is not None:
        queries = side(centred[1], lay_out(query_ids, [len(query_ids)]), query_codes)
    of_row, of_column = (of.layout.slot_prefixes for of in (queries, database))
    prefixes = Prefixes(of_row, of_column, len(question.sizes))
    tile = options.tile or _tile_for(encoding)
    search = Search(queries, database, prefixes, question.codes is None, question.k, tile)
    strips = options.strips if options.strips is not None else device.type == "cuda"
    if strips:
        return replace(search, strips=True, fused=_fuse(encoding, options)), trials
    return shifted(search) if encode else search, trials


def _tile_for(encoding: Encoding) -> int:
    """Slots on a side of a tile."""
    device = encoding.device.type
    return _FLOAT32_TILE if device == "cpu" and encoding.dtype == torch.float32 else _TILE[device]


def _unencoded_side(rows: CentredRows, layout: Layout, codes: Tensor, encoding: Encoding) -> Side:
    """A side of a search whose tiles are all done."""
    none = torch.zeros(layout.slots, device=encoding.device)
    return Side(rows, layout, codes.to(encoding.device), encoding, none, none.clone(), None)


def _choose_encoding(
    rows: CentredRows, order: Tensor, queries: int, k: int, options: SearchOptions
) -> tuple[Encoding, list[FormatTrial]]:
    if options.format is None:
        return choose_format(rows, order, options.device, queries, k)
    sample = rows.take(spread(order, _SAMPLED))
    return choose_encoding(sample, options.format, options.device), []


def _codes(question: Question) -> tuple[Tensor, Tensor]:
    """Codes of the database rows and of the queries."""
    database = torch.from_numpy(question.database_codes)
    if question.queries is None:
        return database, database
    if question.query_codes is None:
        return database, torch.full((len(question.queries),), torch.iinfo(torch.int64).min)
    return database, torch.from_numpy(np.asarray(question.query_codes, dtype=np.int64))


def _fits(question: Question, device: torch.device) -> bool:
    """Whether a GPU has room for the encoded rows beside the tiles; on a CPU the options decide."""
    if device.type == "cpu":
        return True
    rows = len(question.order) + (0 if question.queries is None else len(question.queries))
    return 2 * rows * question.database.d < _ENCODED_SHARE * free_bytes(device)


def _fuse(encoding: Encoding, options: SearchOptions) -> bool:
    """Whether a kernel computes the tiles: one that was tested on this device, and not for float32 products."""
    if encoding.dtype == torch.float32:
        return False
    if options.fused is not None:
        return options.fused
    return kernel_state(encoding.device, encoding.dtype).fused
