"""Reader of `.json` files: an array of records or of texts, one record, or records after one another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.errors import InvalidInput
from workers.corpora.compression import read_whole
from workers.corpora.documents import Decoding, Document
from workers.corpora.records import check_values, text_at

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def read_json(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per record, called `name:record` (records count from 0), its text under the key `text_field`.

    Raises:
        InvalidInput: the file is not UTF-8 or not JSON, or a record lacks the text.
        TooLarge: the file is longer than a document may be, or expands too much.
    """
    raw = decoding.document(name, read_whole(path, name, decoding))
    check_values(raw.text, name)
    for number, record in enumerate(_values(raw.text, name)):
        where = f"{name}:{number}"
        text = record if isinstance(record, str) else text_at(record, text_field)
        if text is None:
            decoding.no_text(f"record {where!a} has no text under the key {text_field!a}")
        else:
            document = decoding.well_formed(where, text)
            yield replace(document, replaced=True) if raw.replaced else document


def _values(text: str, name: str) -> Iterator[Any]:
    """The elements of a JSON array, or values after one another; each is parsed when it is read."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        while at < len(text):
            value, at = _parse(text, at, name)
            yield value
        return
    at = _skip(text, at + 1)
    more = text[at : at + 1] != "]"
    while more:
        value, at = _parse(text, at, name)
        yield value
        if more := text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    if text[at : at + 1] != "]" or _skip(text, at + 1) < len(text):
        raise _not_json(name, at)


def _parse(text: str, at: int, name: str) -> tuple[Any, int]:
    """The value that begins at `at`, and where the next one would begin."""
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise _not_json(name, at) from error
    return value, _skip(text, end)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _not_json(name: str, at: int) -> InvalidInput:
    return InvalidInput(f"{name!a} is not JSON from character {at} on")
