"""Reader of `.txt` files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path

from workers.corpora.compression import is_compressed, read_whole
from workers.corpora.documents import BOM, Decoding, Document

_BLANK_LINES = re.compile(rb"\n[ \t\r]*\n[\s]*")


def read_text(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """One document: the whole file."""
    yield decoding.document(name, read_whole(path, name, decoding))


def read_paragraphs(path: Path, name: str, decoding: Decoding) -> Iterator[Document]:
    """One document for each block of lines between blank lines, with the id `name#k`, k counting from 0."""
    return _read_parts(path, name, decoding, _BLANK_LINES)


def read_separated(path: Path, name: str, decoding: Decoding, separator: str) -> Iterator[Document]:
    """One document for each part between separators, as it is, with the id `name#k`; parts of white space are none."""
    return _read_parts(path, name, decoding, re.compile(re.escape(separator.encode())))


def _read_parts(path: Path, name: str, decoding: Decoding, border: re.Pattern[bytes]) -> Iterator[Document]:
    with _bytes_of(path, name, decoding) as raw:
        start = index = 0
        for gap in chain(border.finditer(raw), [None]):
            end = gap.start() if gap else len(raw)
            decoding.check_size(f"{name}#{index}", end - start)
            block = raw[start:end]
            if block.removeprefix(BOM).strip():
                yield decoding.document(f"{name}#{index}", block, offset=start)
                index += 1
            start = gap.end() if gap else len(raw)


@contextmanager
def _bytes_of(path: Path, name: str, decoding: Decoding) -> Iterator[bytes | mmap]:
    """The bytes of a file: mapped, or in memory if it is compressed (or empty, which cannot be mapped)."""
    if is_compressed(path) or path.stat().st_size == 0:
        yield read_whole(path, name, decoding)
        return
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as raw:
        yield raw
