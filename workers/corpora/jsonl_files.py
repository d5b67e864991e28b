"""Reader of JSON Lines, plain or compressed by gzip or Zstandard."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from service.errors import InvalidInput, TooLarge
from workers.corpora.documents import Decoding, Document


def read_jsonl(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per line, called `name:line`, its text under the key `text_field`.

    Raises:
        InvalidInput: a line that is not UTF-8 or not a JSON object, or lacks the text; names the line and its offset.
        TooLarge: a line longer than a document may be.
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
                    yield Document(where, _text(raw.text, where, text_field), raw.replaced)
        except (EOFError, OSError, zstandard.ZstdError) as error:
            raise InvalidInput(f"{name!a} cannot be decompressed after line {number}") from error


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True))
    return path.open("rb")


def _text(line: str, where: str, text_field: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"line {where!a} is not JSON") from error
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InvalidInput(f"line {where!a} has no text under the key {text_field!a}", field="text_field")
    return text.encode("utf-8", errors="replace").decode()  # "\ud800" is JSON, but no text
