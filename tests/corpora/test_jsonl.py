from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable

import pytest
import zstandard

from service.errors import InvalidInput, TooLarge
from tests.corpora.conftest import Shelf

PACK: dict[str, Callable[[bytes], bytes]] = {
    "a.jsonl": bytes,
    "a.jsonl.gz": gzip.compress,
    "a.jsonl.zst": zstandard.compress,
}
everywhere = pytest.mark.parametrize("name", list(PACK))


def lines(*texts: str) -> bytes:
    return b"".join(json.dumps({"text": text, "n": 1}).encode() + b"\n" for text in texts)


@everywhere
def test_each_line_is_a_document_named_by_its_number(shelf: Shelf, name: str):
    shelf.put(name, PACK[name](lines("one", "zwei ü", "三\n三")))
    assert shelf.pairs(name) == [(f"{name}:1", "one"), (f"{name}:2", "zwei ü"), (f"{name}:3", "三\n三")]


@everywhere
def test_empty_lines_count_but_are_no_documents(shelf: Shelf, name: str):
    shelf.put(name, PACK[name](b"\n" + lines("one") + b"  \r\n" + lines("two").rstrip()))
    assert shelf.pairs(name) == [(f"{name}:2", "one"), (f"{name}:4", "two")]


@everywhere
def test_an_empty_file_has_no_documents(shelf: Shelf, name: str):
    shelf.put(name, PACK[name](b""))
    assert shelf.read(name) == []


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_joined_compressed_files_are_read_to_the_end(shelf: Shelf, name: str):
    shelf.put(name, PACK[name](lines("one")) + PACK[name](lines("two")) + PACK[name](lines("three")))
    assert [text for _, text in shelf.pairs(name)] == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_cut_off_anywhere_is_refused(shelf: Shelf, name: str):
    whole = PACK[name](lines(*(f"line {number} {number**5:x}" for number in range(40))))
    accepted, told = [], set()
    for cut in range(1, len(whole)):
        shelf.put(name, whole[:cut])
        try:
            accepted.append((cut, len(shelf.read(name))))
        except InvalidInput as error:
            told.add(re.sub(r"\d+", "N", error.detail))
    assert accepted == []
    assert told == {f"'{name}' cannot be decompressed: it is damaged or cut off"}


def test_a_frame_that_was_never_closed_is_refused(shelf: Shelf):
    writer = zstandard.ZstdCompressor().compressobj()
    flushed = writer.compress(lines("one", "two")) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    shelf.put("a.jsonl.zst", flushed)
    with pytest.raises(InvalidInput, match="cannot be decompressed"):
        shelf.read("a.jsonl.zst")


@pytest.mark.parametrize("at", [12, 20, 40, -6])
def test_a_gzip_file_with_a_flipped_byte_is_refused(shelf: Shelf, at: int):
    damaged = bytearray(gzip.compress(lines(*(f"line {number} {number**5:x}" for number in range(40)))))
    damaged[at] ^= 0xFF
    shelf.put("a.jsonl.gz", bytes(damaged))
    with pytest.raises(InvalidInput, match=r"'a\.jsonl\.gz' cannot be decompressed"):
        shelf.read("a.jsonl.gz")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_file_that_is_not_compressed_is_refused(shelf: Shelf, name: str):
    shelf.put(name, lines("one"))
    with pytest.raises(InvalidInput, match="cannot be decompressed"):
        shelf.read(name)


@everywhere
@pytest.mark.parametrize("bad", [b"{nope", b'{"text": "cut off', b"\xef\xbb\xbf{}", b"[" * 4000, b"{} {}"])
def test_a_line_that_is_not_json_is_refused_by_number(shelf: Shelf, name: str, bad: bytes):
    shelf.put(name, PACK[name](lines("one", "two") + bad + b"\n"))
    with pytest.raises(InvalidInput, match=re.escape(f"'{name}:3' is not JSON")):
        shelf.read(name)


@pytest.mark.parametrize("bad", ["{}", "[]", "null", '"text"', "7", '{"text": null}', '{"text": 5}', '{"text": ["a"]}'])
def test_a_line_without_text_is_refused_by_number(shelf: Shelf, bad: str):
    shelf.put("a.jsonl", lines("one") + bad.encode())
    with pytest.raises(InvalidInput, match=r"'a\.jsonl:2' has no text under the key 'text'") as caught:
        shelf.read("a.jsonl")
    assert caught.value.field == "text_field"


def test_the_text_may_be_under_another_key(shelf: Shelf):
    shelf.put("a.jsonl", '{"text": 1, "body": "one"}')
    assert shelf.pairs("a.jsonl", text_field="body") == [("a.jsonl:1", "one")]


@everywhere
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf8_are_refused_by_line_and_offset(shelf: Shelf, name: str, start: bytes):
    content = start + lines("one", "é二") + b"\n" + b'{"text": "b\xffd"}\n'
    shelf.put(name, PACK[name](content))
    bad = content.index(b"\xff")
    with pytest.raises(InvalidInput, match=re.escape(f"'{name}:4' is not UTF-8 at byte {bad};")):
        shelf.read(name)


def test_replacing_is_recorded(shelf: Shelf):
    shelf.put("a.jsonl", lines("one") + b'{"text": "b\xffd"}\n')
    assert [(d.text, d.replaced) for d in shelf.read("a.jsonl", errors="replace")] == [
        ("one", False),
        ("b\ufffdd", True),
    ]
    assert shelf.count("a.jsonl", errors="replace").replaced_documents == 1


def test_escaped_surrogates_become_text_that_can_be_stored(shelf: Shelf):
    shelf.put("a.jsonl", rb'{"text": "a\ud800b \ud83d\ude00"}')
    [document] = shelf.read("a.jsonl", errors="replace")
    assert document.text.encode().decode() == document.text
    assert document.text.startswith("a")
    assert document.text.endswith("b 😀")


@everywhere
def test_an_over_long_line_is_refused(shelf: Shelf, name: str):
    longest = 4096 - len(lines(""))
    shelf.put(name, PACK[name](lines("x" * longest)))
    assert len(shelf.read(name)) == 1
    shelf.put(name, PACK[name](lines("one", "x" * (longest + 1))))
    with pytest.raises(TooLarge, match=re.escape(f"'{name}:2' is longer than 4096 bytes")):
        shelf.read(name)
