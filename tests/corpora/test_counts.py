from __future__ import annotations

import hashlib
import sys
from itertools import combinations
from pydoc_data.topics import topics

from service.contracts.corpora import CorpusSource
from tests.corpora.conftest import Shelf
from workers.corpora.documents import Document
from workers.corpora.sources import count_documents, read_documents


def sha256(*documents: tuple[str, str]) -> str:
    return count_documents(Document(name, text) for name, text in documents).sha256


def test_documents_and_utf8_bytes_are_counted(shelf: Shelf):
    shelf.put("a.txt", "é二")
    shelf.put("b.txt", "one")
    counts = shelf.count()
    assert (counts.documents, counts.bytes, counts.replaced_documents) == (2, 8, 0)


def test_equal_corpora_have_equal_digests(shelf: Shelf):
    for folder, order in (("one", "ab"), ("two", "ba")):
        for name in order:
            shelf.put(f"{folder}/{name}.txt", name)
    assert shelf.count("one") == shelf.count("two") == shelf.count("one")


def test_the_digest_changes_with_any_id_text_border_or_order():
    digests = [
        sha256(),
        sha256(("", "")),
        sha256(("a", "bc")),
        sha256(("ab", "c")),
        sha256(("a", "b"), ("c", "d")),
        sha256(("c", "d"), ("a", "b")),
        sha256(("a", "bc"), ("", "d")),
        sha256(("a", "b"), ("c", "d"), ("", "")),
        sha256(("a", "b c")),
        sha256(("a", "b c ")),
    ]
    assert all(one != other for one, other in combinations(digests, 2))


def test_the_digest_is_over_length_and_bytes_of_each_id_and_text():
    parts = ["a.txt", "é", "b.txt", ""]
    content = b"".join(len(part.encode()).to_bytes(8, "little") + part.encode() for part in parts)
    assert sha256(("a.txt", "é"), ("b.txt", "")) == hashlib.sha256(content).hexdigest()


def test_the_python_documentation_is_built_in(shelf: Shelf):
    release = f"python-{sys.version_info.major}.{sys.version_info.minor}"
    found = shelf.pairs(None, builtin="python-docs")
    assert found == [(f"{release}/{name}", topics[name]) for name in sorted(topics)]
    assert shelf.count(None, builtin="python-docs").documents == len(topics) > 50


def test_documents_are_read_one_after_another(shelf: Shelf):
    shelf.put("a.txt", b"good")
    shelf.put("b.txt", b"\xff")
    reading = read_documents(CorpusSource(path="."), shelf.settings)
    assert next(reading).text == "good"
