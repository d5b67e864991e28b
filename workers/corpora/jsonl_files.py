"""Reader of JSON Lines, plain or compressed by gzip or Zstandard."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pyarrow as pa

from service.errors import InvalidInput, TooLarge
from workers.corpora.documents import Decoding, Document

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def read_jsonl(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per line, called `name:line`, its text under the key `text_field`.

    Raises:
        InvalidInput: a line is not UTF-8 or not a JSON object, or lacks the text; the message names line and offset.
        TooLarge: a line is longer than a document may be.
    """
    offset = 0
    with _open(path) as stream:
        number = 0
        try:
            while line := stream.readline(decoding.max_bytes + 1):
                number += 1
                where = f"{name}:{number}"
                if len(line) > decoding.max_bytes:
                    raise TooLarge(f"line {where!a} is longer than {decoding.max_bytes} bytes")
                raw = decoding.document(where, line, offset=offset)
                offset += len(line)
                if raw.text.strip():
                    document = decoding.well_formed(where, _text(raw.text, where, text_field))
                    yield replace(document, replaced=document.replaced or raw.replaced)
        except OSError as error:
            raise InvalidInput(f"{name!a} cannot be decompressed: it is damaged or cut off") from error


def _open(path: Path) -> IO[bytes]:
    compression = _COMPRESSIONS.get(path.suffix)
    # Arrow's stream raises when a compressed file is truncated; that of the standard library ends silently.
    return path.open("rb") if compression is None else io.BufferedReader(pa.input_stream(path, compression=compression))


def _text(line: str, where: str, text_field: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"line {where!a} is not JSON") from error
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InvalidInput(f"line {where!a} has no text under the key {text_field!a}", field="text_field")
    return text
