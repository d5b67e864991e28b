"""Token files of the Standardized Project Gutenberg Corpus (Gerlach and Font-Clos 2018): `PG<id>_tokens.txt`.

A file is a book, one lower-case word a line, without punctuation. The corpus has no order between books; numbers are
the one order that every copy of it shares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from workers.corpora.documents import Decoding, Document

Join = Literal["newline", "space"]
_BOOK = re.compile(r"(?:^|/)PG([0-9]{1,18})_tokens\.txt$")


def spgc_order(name: str) -> tuple[bool, int, str]:
    """Sorts file names by the number of the book, PG2 before PG10; names of another kind follow by themselves."""
    found = _BOOK.search(name)
    return found is None, int(found[1]) if found else 0, name


def read_spgc(path: Path, name: str, decoding: Decoding, *, join: Join = "newline") -> Iterator[Document]:
    """One document: the book.

    Args:
        join: `newline` leaves the file as it is; `space` puts one space between words, which makes half as many GPT-2
            tokens of it.

    Raises:
        InvalidInput: not UTF-8, naming the file and the byte; see `Decoding`.
        TooLarge: longer than `decoding.max_bytes`.
    """
    document = decoding.document(name, decoding.read_file(path, name))
    if join == "newline":
        yield document
    else:  # bytes are split at ASCII white space only, and faster than text
        yield replace(document, text=b" ".join(document.text.encode().split()).decode())
