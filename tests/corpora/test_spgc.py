"""Token files of the Standardized Project Gutenberg Corpus."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from service.errors import InvalidInput, TooLarge
from workers.corpora.documents import Decoding, Document
from workers.corpora.spgc_files import read_spgc, spgc_order

READERS = [read_spgc, partial(read_spgc, join="space")]


def test_words_are_joined_by_newlines_as_in_the_file_or_by_spaces(tmp_path: Path):
    assert read_one(tmp_path, b"the\nquick\nfox\n") == Document("PG1_tokens.txt", "the\nquick\nfox\n")
    assert read_one(tmp_path, b"the\nquick\nfox\n", partial(read_spgc, join="space")).text == "the quick fox"


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", ""), (b"\n\n", ""), (b"one\r\n\r\ntwo\r\n", "one two"), ("été\n\u3000二\n".encode(), "été \u3000二")],
)
def test_spaces_replace_ascii_white_space_only(tmp_path: Path, content: bytes, text: str):
    assert read_one(tmp_path, content, partial(read_spgc, join="space")).text == text


def test_books_are_ordered_by_number_and_other_files_follow_by_name():
    names = [
        "b.txt",
        "PG10_tokens.txt",
        "PG2_tokens.txt",
        "x/PG3_tokens.txt",
        "PG1_text.txt",
        "a.txt",
        "XPG1_tokens.txt",
    ]
    assert sorted(names, key=spgc_order) == [
        "PG2_tokens.txt", "x/PG3_tokens.txt", "PG10_tokens.txt", "PG1_text.txt", "XPG1_tokens.txt", "a.txt", "b.txt",
    ]  # fmt: skip


def test_equal_numbers_are_ordered_by_name():
    names = ["b/PG7_tokens.txt", "a/PG7_tokens.txt", "a/PG007_tokens.txt"]
    assert sorted(names, key=spgc_order) == ["a/PG007_tokens.txt", "a/PG7_tokens.txt", "b/PG7_tokens.txt"]


@pytest.mark.parametrize("reader", READERS)
def test_invalid_utf8_is_refused_by_name_and_byte(tmp_path: Path, reader):
    with pytest.raises(InvalidInput, match=r"'PG1_tokens.txt' is not UTF-8 at byte 10;"):
        read_one(tmp_path, b"one\r\ntwo\r\n\xff\n", reader)


@pytest.mark.parametrize("reader", READERS)
def test_replacing_is_recorded(tmp_path: Path, reader):
    found = read_one(tmp_path, b"t\xff", reader, Decoding("replace"))
    assert found == Document("PG1_tokens.txt", "t\ufffd", replaced=True)


@pytest.mark.parametrize("reader", READERS)
def test_a_book_over_the_limit_is_refused(tmp_path: Path, reader):
    assert read_one(tmp_path, b"abcd", reader, Decoding(max_bytes=4)).text == "abcd"
    with pytest.raises(TooLarge):
        read_one(tmp_path, b"abcde", reader, Decoding(max_bytes=4))


def read_one(folder: Path, content: bytes, reader=read_spgc, decoding: Decoding | None = None) -> Document:
    path = folder / "PG1_tokens.txt"
    path.write_bytes(content)
    (found,) = reader(path, path.name, decoding or Decoding())
    return found
