from __future__ import annotations

import re

import pytest

from service.errors import InvalidInput, TooLarge
from tests.corpora.conftest import Shelf

BOM = b"\xef\xbb\xbf"
SPGC = {"format": "spgc"}
PARAGRAPHS = {"documents": "paragraphs"}


def test_a_text_file_is_one_document_kept_as_it_is(shelf: Shelf):
    shelf.put("a.txt", " One\r\n\r\n two — 二\n")
    assert shelf.pairs("a.txt") == [("a.txt", " One\r\n\r\n two — 二\n")]


def test_paragraphs_are_blocks_between_blank_lines(shelf: Shelf):
    shelf.put("a.txt", "one\nline two\n\nthree\n \t\n\n\nfour")
    assert shelf.pairs("a.txt", **PARAGRAPHS) == [
        ("a.txt#0", "one\nline two"),
        ("a.txt#1", "three"),
        ("a.txt#2", "four"),
    ]


def test_blank_lines_at_the_ends_make_no_paragraph(shelf: Shelf):
    shelf.put("a.txt", "\n\n \none\n\n\n \n")
    assert shelf.pairs("a.txt", **PARAGRAPHS) == [("a.txt#0", "one")]


def test_windows_line_ends_separate_paragraphs_too(shelf: Shelf):
    shelf.put("a.txt", "one\r\n\r\ntwo\r\n")
    assert [text.strip() for _, text in shelf.pairs("a.txt", **PARAGRAPHS)] == ["one", "two"]


def test_spgc_words_are_joined_by_newlines_or_by_spaces(shelf: Shelf):
    shelf.put("PG1_tokens.txt", "the\nquick\nfox\n")
    assert shelf.pairs("PG1_tokens.txt", **SPGC) == [("PG1_tokens.txt", "the\nquick\nfox\n")]
    assert shelf.pairs("PG1_tokens.txt", **SPGC, join="space") == [("PG1_tokens.txt", "the quick fox")]


def test_of_a_folder_of_spgc_only_token_files_are_read(shelf: Shelf):
    shelf.put("pg/PG2_tokens.txt", "b\n")
    shelf.put("pg/PG1_tokens.txt", "a\n")
    shelf.put("pg/metadata.jsonl", "{}\n")
    shelf.put("pg/PG1_raw.txt", "The whole book, which would be a second copy.")
    assert [name for name, _ in shelf.pairs("pg", **SPGC)] == ["PG1_tokens.txt", "PG2_tokens.txt"]
    assert shelf.count("pg", **SPGC).other_files == 2


def test_an_empty_file_has_no_text(shelf: Shelf):
    shelf.put("a.txt", "")
    assert shelf.pairs("a.txt") == [("a.txt", "")]
    assert shelf.pairs("a.txt", **PARAGRAPHS) == []
    assert shelf.count("a.txt").bytes == 0


@pytest.mark.parametrize("source", [{}, SPGC, SPGC | {"join": "space"}, PARAGRAPHS])
def test_a_byte_order_mark_is_dropped_at_the_start_only(shelf: Shelf, source: dict):
    shelf.put("a.txt", BOM + b"one" + BOM)
    assert [text for _, text in shelf.pairs("a.txt", **source)] == ["one\ufeff"]


def test_a_byte_order_mark_alone_is_no_paragraph(shelf: Shelf):
    shelf.put("a.txt", BOM + b"\n\none\n")
    assert [text.strip() for _, text in shelf.pairs("a.txt", **PARAGRAPHS)] == ["one"]


@pytest.mark.parametrize(
    ("source", "document", "content"),
    [
        ({}, "a.txt", b"good b\xffd"),
        ({}, "a.txt", BOM + b"good b\xffd"),
        ({}, "a.txt", "é二".encode() + b"\xc3"),
        (SPGC, "a.txt", b"one\ntwo\nt\xff\n"),
        (SPGC | {"join": "space"}, "a.txt", b"one\ntwo\nt\xff\n"),
        (SPGC | {"join": "space"}, "a.txt", b"one\r\ntwo\r\nt\xff\r\n"),
        (PARAGRAPHS, "a.txt#0", b"\n\n b\xffd\n\ngood"),
        (PARAGRAPHS, "a.txt#2", BOM + b"one\n\ntwo\n \n\n\nthr\xffe"),
        (PARAGRAPHS, "a.txt#1", "é\n\n".encode() + b"caf\xe9\n"),
    ],
)
def test_bytes_that_are_not_utf8_are_refused_by_name_and_offset_in_the_file(
    shelf: Shelf, source: dict, document: str, content: bytes
):
    shelf.put("a.txt", content)
    bad = max(content.rfind(byte) for byte in (b"\xff", b"\xe9")) if content[-1:] != b"\xc3" else len(content) - 1
    with pytest.raises(InvalidInput, match=re.escape(f"'{document}' is not UTF-8 at byte {bad};")):
        shelf.read("a.txt", **source)


@pytest.mark.parametrize("source", [{}, SPGC, SPGC | {"join": "space"}, PARAGRAPHS])
def test_replacing_is_recorded(shelf: Shelf, source: dict):
    shelf.put("a_tokens.txt", b"good")
    shelf.put("b_tokens.txt", b"b\xffd")
    documents = shelf.read(errors="replace", **source)
    assert [(document.text, document.replaced) for document in documents] == [("good", False), ("b\ufffdd", True)]
    assert shelf.count(errors="replace", **source).replaced_documents == 1


@pytest.mark.parametrize("source", [{}, SPGC, SPGC | {"join": "space"}, PARAGRAPHS])
def test_an_over_long_document_is_refused(shelf: Shelf, source: dict):
    shelf.put("a.txt", b"x" * 4096)
    assert len(shelf.read("a.txt", **source)) == 1
    shelf.put("a.txt", b"x" * 4097)
    with pytest.raises(TooLarge, match=r"a\.txt.* 4096 bytes"):
        shelf.read("a.txt", **source)


def test_the_limit_holds_for_each_paragraph_not_for_the_file(shelf: Shelf):
    shelf.put("a.txt", b"\n\n".join([b"x" * 4000] * 3))
    assert len(shelf.read("a.txt", **PARAGRAPHS)) == 3
