"""Compressed text, `.json`, Arrow files, nested fields, rows without text, and separators of documents."""

from __future__ import annotations

import gzip
import json
import lzma
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from service.errors import InvalidInput, TooLarge
from tests.corpora.conftest import Shelf

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": zstandard.compress, ".xz": lzma.compress}
packed = pytest.mark.parametrize("ending", PACK)
END = "<|endoftext|>"


@packed
def test_compressed_text_is_read_in_every_way(shelf: Shelf, ending: str):
    shelf.put(f"a.txt{ending}", PACK[ending]("é one\n\ntwo".encode()))
    name = f"a.txt{ending}"
    assert shelf.pairs(name) == [(name, "é one\n\ntwo")]
    assert shelf.pairs(name, documents="paragraphs") == [(f"{name}#0", "é one"), (f"{name}#1", "two")]


@packed
@pytest.mark.parametrize("kind", ["txt", "jsonl", "json"])
def test_a_file_cut_off_anywhere_is_refused(shelf: Shelf, ending: str, kind: str):
    content = json.dumps({"text": random.Random(0).randbytes(60).hex()}).encode()
    whole = PACK[ending](content)
    for cut in range(1, len(whole)):
        shelf.put(f"a.{kind}{ending}", whole[:cut])
        with pytest.raises(InvalidInput, match="cannot be decompressed"):
            shelf.read(f"a.{kind}{ending}")


def test_joined_and_padded_xz_files_are_read_to_the_end(shelf: Shelf):
    shelf.put("a.txt.xz", lzma.compress(b"one ") + bytes(2**17 + 8) + lzma.compress(b"two") + bytes(4))
    assert shelf.pairs("a.txt.xz") == [("a.txt.xz", "one two")]


def test_a_flipped_byte_of_an_xz_file_is_refused(shelf: Shelf):
    whole = lzma.compress(random.Random(0).randbytes(500).hex().encode())
    for at in range(6, len(whole) - 12, 7):
        shelf.put("a.txt.xz", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with pytest.raises(InvalidInput, match="cannot be decompressed"):
            shelf.read("a.txt.xz")


@packed
def test_compressed_text_longer_than_a_document_is_refused(shelf: Shelf, ending: str):
    shelf.put(f"a.txt{ending}", PACK[ending](b"x" * 4096))
    assert len(shelf.read(f"a.txt{ending}")) == 1
    shelf.put(f"a.txt{ending}", PACK[ending](b"x" * 4097))
    with pytest.raises(TooLarge, match="4096 bytes"):
        shelf.read(f"a.txt{ending}")


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('[{"text": "one"}, {"text": "two"}]', ["one", "two"]),
        (' [ "one" ,\n"two" ] \n', ["one", "two"]),
        ('{"text": "one"}', ["one"]),
        ('{"text": "one"}\n{"text": "two"}\n', ["one", "two"]),
        ('{\n  "text": "one"\n}\n{\n  "text": "two"\n}', ["one", "two"]),
        ("[]", []),
        ("", []),
        ('\ufeff[{"text": "one"}]', ["one"]),
    ],
)
def test_json_files_are_arrays_or_records_after_one_another(shelf: Shelf, content: str, texts: list[str]):
    shelf.put("a.json", content)
    assert shelf.pairs("a.json") == [(f"a.json:{number}", text) for number, text in enumerate(texts)]


@pytest.mark.parametrize("content", ["[", '["one"', '["one",]', '["one" "two"]', '["one"] x', "{", "[" * 4000, "nope"])
def test_what_is_not_json_is_refused(shelf: Shelf, content: str):
    shelf.put("a.json", content)
    with pytest.raises(InvalidInput, match=r"'a\.json' is not JSON from character \d+ on"):
        shelf.read("a.json")


def table(values: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(values)


def put_arrow(shelf: Shelf, rows: pa.Table, name: str = "a.arrow", *, stream: bool = True, compression=None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, rows.schema, options=options) as writer:
        writer.write_table(rows, max_chunksize=2)
    shelf.put(name, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("encode", [False, True])
def test_arrow_files_are_read(shelf: Shelf, stream: bool, encode: bool):
    rows = table([{"text": text, "n": 1} for text in ("one", "", "二", "one", "e")])
    put_arrow(shelf, rows.set_column(0, "text", rows["text"].dictionary_encode()) if encode else rows, stream=stream)
    assert [text for _, text in shelf.pairs("a.arrow")] == ["one", "", "二", "one", "e"]


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_arrow_files_are_refused(shelf: Shelf, compression: str, encode: bool):
    rows = table([{"text": "x" * 3000}] * 3)
    rows = rows.set_column(0, "text", rows["text"].dictionary_encode()) if encode else rows
    put_arrow(shelf, rows, compression=compression)
    with pytest.raises(InvalidInput, match="is compressed"):
        shelf.read("a.arrow")


def test_a_damaged_arrow_file_is_refused_or_read_but_never_breaks_the_reader(shelf: Shelf):
    put_arrow(shelf, table([{"text": f"text {number}"} for number in range(20)]))
    path = shelf.settings.corpora_root / "a.arrow"
    sound, chance, broken = path.read_bytes(), random.Random(0), []
    for _ in range(300):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(damaged[: chance.randrange(len(sound))] if chance.random() < 0.2 else damaged))
        try:
            shelf.read("a.arrow")
        except (InvalidInput, TooLarge):
            pass
        except Exception as error:
            broken.append(f"{type(error).__name__}: {error}")
    assert broken == []


NESTED = [{"a": {"b": "one", "c": [1]}}, {"a": {"b": "two", "c": []}}]


def put_rows(shelf: Shelf, rows: list[dict], name: str) -> None:
    if name.endswith(".arrow"):
        put_arrow(shelf, table(rows), name)
    elif name.endswith(".parquet"):
        pq.write_table(table(rows), shelf.put(name))
    else:
        shelf.put(name, json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows)))


everywhere = pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.arrow"])


@everywhere
def test_the_text_may_be_nested(shelf: Shelf, name: str):
    put_rows(shelf, NESTED, name)
    assert [text for _, text in shelf.pairs(name, text_field="a.b")] == ["one", "two"]


@everywhere
@pytest.mark.parametrize("field", ["a", "a.c", "a.x", "x", "a.b.c", ".", "a."])
def test_a_nested_field_without_text_is_refused(shelf: Shelf, name: str, field: str):
    put_rows(shelf, NESTED, name)
    with pytest.raises(InvalidInput) as caught:
        shelf.read(name, text_field=field)
    assert caught.value.field == "text_field"


def test_a_key_with_a_dot_comes_before_a_nested_one_and_lists_have_places(shelf: Shelf):
    shelf.put("a.jsonl", '{"a.b": "whole", "a": {"b": "nested"}, "m": [{"x": "first"}, {"x": "second"}]}')
    for field, text in (("a.b", "whole"), ("m.1.x", "second")):
        assert shelf.pairs("a.jsonl", text_field=field) == [("a.jsonl:1", text)]
    with pytest.raises(InvalidInput):
        shelf.read("a.jsonl", text_field="m.2.x")


HOLES = [{"text": "one"}, {"text": None}, {"text": "two"}, {"text": None}]


@everywhere
def test_rows_without_text_are_refused_with_the_way_on_or_left_out_and_counted(shelf: Shelf, name: str):
    put_rows(shelf, HOLES, name)
    with pytest.raises(InvalidInput, match="skip_rows_without_text=true leaves such rows out") as caught:
        shelf.read(name)
    assert caught.value.field == "text_field"
    first = 1 if name == "a.jsonl" else 0
    found = shelf.pairs(name, skip_rows_without_text=True)
    assert found == [(f"{name}:{first}", "one"), (f"{name}:{first + 2}", "two")]
    counts = shelf.count(name, skip_rows_without_text=True)
    assert (counts.documents, counts.rows_without_text) == (2, 2)


@everywhere
def test_a_null_parent_is_a_row_without_text(shelf: Shelf, name: str):
    put_rows(shelf, [{"a": {"b": "one"}}, {"a": None}, {"a": {"b": None}}, {"a": {"b": "two"}}], name)
    found = shelf.pairs(name, text_field="a.b", skip_rows_without_text=True)
    assert [text for _, text in found] == ["one", "two"]


def test_a_separator_divides_a_file_into_documents(shelf: Shelf):
    shelf.put("a.txt", f"\ufeff one\n\n two{END}{END}\n{END}three{END}\n")
    found = shelf.pairs("a.txt", document_separator=END)
    assert found == [("a.txt#0", " one\n\n two"), ("a.txt#1", "three")]
    shelf.put("b.txt.gz", gzip.compress(f"one{END}two".encode()))
    assert [text for _, text in shelf.pairs("b.txt.gz", document_separator=END)] == ["one", "two"]


def test_the_limit_of_a_document_holds_between_separators(shelf: Shelf):
    shelf.put("a.txt", END.join(["x" * 4000] * 3))
    assert len(shelf.read("a.txt", document_separator=END)) == 3
    shelf.put("a.txt", f"one{END}" + "x" * 4097)
    with pytest.raises(TooLarge, match=r"a\.txt#1"):
        shelf.read("a.txt", document_separator=END)


def test_paragraphs_and_a_separator_exclude_each_other(shelf: Shelf):
    with pytest.raises(ValidationError, match="not both"):
        shelf.read("a.txt", documents="paragraphs", document_separator=END)


def test_the_longest_document_is_counted(shelf: Shelf):
    shelf.put("a.txt", "é二")
    shelf.put("b.txt", "one two")
    assert shelf.count().longest_bytes == 7
