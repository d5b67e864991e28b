"""Readers of `.txt` files and of the Standardized Project Gutenberg Corpus (SPGC)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from workers.corpora.documents import Decoding, Document

_BLANK_LINES = re.compile(rb"\n[ \t\r]*\n[\s]*")


def read_text(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """One document: the whole file."""
    yield decoding.document(name, path.read_bytes())


def read_paragraphs(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """A document per block of lines between blank lines, called `name#k`, k counting from 0."""
    raw = path.read_bytes()
    start = index = 0
    for gap in [*_BLANK_LINES.finditer(raw), None]:
        block = raw[start : gap.start() if gap else len(raw)]
        if block.strip():
            yield decoding.document(f"{name}#{index}", block, offset=start)
            index += 1
        start = gap.end() if gap else len(raw)


def read_spgc_lines(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """An SPGC token file (one word a line), kept as it is: words joined by newlines."""
    yield decoding.document(name, path.read_bytes())


def read_spgc_spaces(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """An SPGC token file, its words joined by single spaces: half as many GPT-2 tokens as with newlines."""
    yield decoding.document(name, b" ".join(path.read_bytes().split()))
