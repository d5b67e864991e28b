"""Preparation of a search before its first tile: rows are centred, laid out in slots and encoded."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from service.errors import InvalidInput
from workers.neighbors.candidates import Prefixes
from workers.neighbors.encoding import Encoding, choose_encoding
from workers.neighbors.filtering import Search
from workers.neighbors.formats import FormatTrial, choose_format
from workers.neighbors.layout import BLOCK, Layout, lay_out
from workers.neighbors.options import SearchOptions
from workers.neighbors.question import Question
from workers.neighbors.side import Side, encode_side
from workers.neighbors.stored import CentredRows, centre_rows, lengths_of

_TILE = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class FixedEncoding:
    """The centre, scale and number format that an earlier search chose; with them none is chosen again.

    Attributes:
        centre, scale: see `CentredRows`; the parts of one search must share them, or they cannot be merged.
        format, split: see `Encoding`; the parts of one search may differ in them.
    """

    centre: Tensor
    scale: float
    format: torch.dtype
    split: Tensor

    @classmethod
    def of(cls, side: Side) -> FixedEncoding:
        """The encoding of one side of a prepared search."""
        return cls(side.rows.centre, side.rows.scale, side.encoding.dtype, side.encoding.split)

    def encoding(self, device: torch.device) -> Encoding:
        """The encoding on a device."""
        return Encoding(len(self.centre), self.format, self.split.to(device), device)


def prepare_search(
    question: Question, options: SearchOptions, *, fixed: FixedEncoding | None = None, encode: bool = True
) -> tuple[Search, list[FormatTrial]]:
    """Centre the rows, choose the filter's format, lay the rows out in slots and encode them.

    Args:
        fixed: centre, scale and format to use; None chooses them.
        encode: False skips the encoding: enough to merge states and to rescore candidates, not to filter.

    Returns:
        The search, and what was measured to choose the format.
    """
    tile = options.tile or _TILE[options.device.type]
    if tile % BLOCK:
        raise InvalidInput(f"a tile is a multiple of {BLOCK} slots", field="tile")
    order, query_ids = question.order, question.query_ids
    sets = [(question.database, order)]
    if question.queries is not None:
        sets.append((question.queries, query_ids))
    if fixed is None:
        centred = centre_rows(sets)
        encoding, trials = _choose_encoding(centred[0], order, len(query_ids), question.k, options)
    else:
        centred = [CentredRows(rows, fixed.centre, fixed.scale) for rows, _ in sets]
        encoding, trials = fixed.encoding(options.device), []

    def side(rows: CentredRows, layout: Layout, codes: Tensor) -> Side:
        slot_codes = codes[layout.ids.clamp(min=0)]
        if encode:
            return encode_side(rows, layout, slot_codes, encoding, resident=options.resident)
        return _unencoded_side(rows, layout, slot_codes, encoding)

    database_codes, query_codes = _codes(question)
    database = queries = side(centred[0], lay_out(order, question.sizes, lengths_of(centred[0], order)), database_codes)
    if question.queries is not None:
        queries = side(centred[1], lay_out(query_ids, [len(query_ids)]), query_codes)
    of_row, of_column = (of.layout.slot_prefixes.to(options.device) for of in (queries, database))
    prefixes = Prefixes(of_row, of_column, len(question.sizes))
    fused = _fuse(options) and encoding.dtype != torch.float32
    return Search(queries, database, prefixes, question.codes is None, question.k, tile, fused), trials


def _unencoded_side(rows: CentredRows, layout: Layout, codes: Tensor, encoding: Encoding) -> Side:
    """A side of a search whose tiles are all done."""
    none = torch.zeros(layout.slots, device=encoding.device)
    return Side(rows, layout, codes.to(encoding.device), encoding, none, none.clone(), None)


def _choose_encoding(
    rows: CentredRows, order: Tensor, queries: int, k: int, options: SearchOptions
) -> tuple[Encoding, list[FormatTrial]]:
    if options.format is None:
        return choose_format(rows, order, options.device, queries, k)
    sample = rows.take(order[:: max(1, len(order) // 1000)])
    return choose_encoding(sample, options.format, options.device), []


def _codes(question: Question) -> tuple[Tensor, Tensor]:
    """Codes of the database rows and of the queries."""
    database = torch.from_numpy(question.database_codes)
    if question.queries is None:
        return database, database
    if question.query_codes is None:
        return database, torch.full((len(question.queries),), torch.iinfo(torch.int64).min)
    return database, torch.from_numpy(np.asarray(question.query_codes, dtype=np.int64))


def _fuse(options: SearchOptions) -> bool:
    if options.fused is not None:
        return options.fused
    return options.device.type == "cuda" and importlib.util.find_spec("triton") is not None
