"""Readers of `.txt` files and of the Standardized Project Gutenberg Corpus (SPGC)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path

from workers.corpora.documents import BOM, Decoding, Document

_BLANK_LINES = re.compile(rb"\n[ \t\r]*\n[\s]*")


def read_text(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """One document: the whole file. The words of an SPGC token file (one a line) stay joined by newlines."""
    yield decoding.document(name, decoding.read_file(path, name))


def read_paragraphs(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """One document for each block of lines between blank lines, with the id `name#k`, k counting from 0."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as raw:
        start = index = 0
        for gap in chain(_BLANK_LINES.finditer(raw), [None]):
            end = gap.start() if gap else len(raw)
            decoding.check_size(f"{name}#{index}", end - start)
            block = raw[start:end]
            if block.removeprefix(BOM).strip():
                yield decoding.document(f"{name}#{index}", block, offset=start)
                index += 1
            start = gap.end() if gap else len(raw)
