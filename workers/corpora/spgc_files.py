"""Token files of the Standardized Project Gutenberg Corpus (Gerlach and Font-Clos 2018): `PG<id>_tokens.txt`.

A file is a book: one lower-case word a line, without punctuation. The corpus defines no order of books; their numbers
are the only order that all copies share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from workers.corpora.compression import read_whole
from workers.corpora.documents import Decoding, Document

Join = Literal["newline", "space"]
_BOOK = re.compile(r"(?:^|/)PG([0-9]{1,18})_tokens\.txt$")


def spgc_order(name: str) -> tuple[bool, int, str]:
    """The sort key of a file name: the number of the book, PG2 before PG10; other names follow in their own order."""
    found = _BOOK.search(name)
    return found is None, int(found[1]) if found else 0, name


def is_book(name: str) -> bool:
    """Whether a file is called as the corpus calls its token files, whatever its number."""
    return name.endswith("_tokens.txt")


def read_spgc(path: Path, name: str, decoding: Decoding, *, join: Join = "newline") -> Iterator[Document]:
    """One document: the book.

    Args:
        join: `newline` leaves the file unchanged; `space` puts one space between words, which halves the number of
            GPT-2 tokens.

    Raises:
        InvalidInput: the file is not UTF-8; the message names the file and the byte.
        TooLarge: the file is longer than `decoding.max_bytes`.
    """
    document = decoding.document(name, read_whole(path, name, decoding))
    if join == "newline":
        yield document
    else:  # bytes are split at ASCII white space only, and faster than text
        yield replace(document, text=b" ".join(document.text.encode().split()).decode())
