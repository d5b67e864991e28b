"""Reader of JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from service.errors import TooLarge
from workers.corpora.compression import open_file
from workers.corpora.documents import Decoding, Document
from workers.corpora.records import parse_json, text_at


def read_jsonl(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per line, called `name:line`, its text under the key `text_field`.

    Raises:
        InvalidInput: a line is not UTF-8 or not a JSON object, or lacks the text; the message names line and offset.
        TooLarge: a line is longer than a document may be, or a compressed file expands too much.
    """
    offset = number = 0
    with open_file(path, name, decoding) as stream:
        while line := stream.readline(decoding.max_bytes + 1):
            number += 1
            where = f"{name}:{number}"
            if len(line) > decoding.max_bytes:
                raise TooLarge(f"line {where!a} is longer than {decoding.max_bytes} bytes")
            raw = decoding.document(where, line, offset=offset)
            offset += len(line)
            if not raw.text.strip():
                continue
            text = text_at(parse_json(raw.text, where), text_field)
            if text is None:
                decoding.no_text(f"line {where!a} has no text under the key {text_field!a}")
            else:
                document = decoding.well_formed(where, text)
                yield replace(document, replaced=True) if raw.replaced else document
