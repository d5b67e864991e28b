from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import InvalidInput, TooLarge
from tests.corpora.conftest import Shelf


def put(shelf: Shelf, column: pa.Array | pa.ChunkedArray, name: str = "text", **options) -> None:
    pq.write_table(pa.table({name: column, "n": range(len(column))}), shelf.put("a.parquet"), **options)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()])
def test_each_row_is_a_document_named_by_its_number(shelf: Shelf, kind: pa.DataType):
    put(shelf, pa.array(["one", "zwei ü", "", "三"], pa.string()).cast(kind))
    assert shelf.pairs("a.parquet") == [
        ("a.parquet:0", "one"),
        ("a.parquet:1", "zwei ü"),
        ("a.parquet:2", ""),
        ("a.parquet:3", "三"),
    ]


def test_dictionary_columns_are_read(shelf: Shelf):
    put(shelf, pa.array(["a", "b", "a"]).dictionary_encode())
    assert [text for _, text in shelf.pairs("a.parquet")] == ["a", "b", "a"]


def test_numbers_run_on_over_row_groups_and_batches(shelf: Shelf):
    texts = [f"text {number}" for number in range(1000)]
    put(shelf, pa.array(texts), row_group_size=300)
    assert shelf.pairs("a.parquet") == [(f"a.parquet:{number}", text) for number, text in enumerate(texts)]


def test_a_file_without_rows_has_no_documents(shelf: Shelf):
    put(shelf, pa.array([], pa.string()))
    assert shelf.read("a.parquet") == []


def test_the_text_may_be_in_another_column(shelf: Shelf):
    put(shelf, pa.array(["one"]), name="body.text")
    assert shelf.pairs("a.parquet", text_field="body.text") == [("a.parquet:0", "one")]


def test_a_missing_column_is_refused(shelf: Shelf):
    put(shelf, pa.array(["one"]), name="body")
    with pytest.raises(InvalidInput, match=r"'a\.parquet' has no column 'text'") as caught:
        shelf.read("a.parquet")
    assert caught.value.field == "text_field"


@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.array([{"a": "x"}]), pa.array([["x"]]), pa.array([1.5])])
def test_a_column_that_is_not_text_is_refused(shelf: Shelf, column: pa.Array):
    put(shelf, column)
    with pytest.raises(InvalidInput, match=r"the column 'text' of 'a\.parquet' holds no text") as caught:
        shelf.read("a.parquet")
    assert caught.value.field == "text_field"


def test_a_row_without_text_is_refused_by_number(shelf: Shelf):
    put(shelf, pa.array(["one", "two", None]))
    with pytest.raises(InvalidInput, match="has no text in row 2"):
        shelf.read("a.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 10, b"no parquet"])
def test_a_file_that_is_not_parquet_is_refused(shelf: Shelf, content: bytes):
    shelf.put("a.parquet", content)
    with pytest.raises(InvalidInput, match=r"'a\.parquet' is not a Parquet file"):
        shelf.read("a.parquet")


def test_a_damaged_file_is_refused_or_read_but_never_breaks_the_reader(shelf: Shelf):
    put(shelf, pa.array([f"text {number}" for number in range(500)]))
    path = shelf.settings.corpora_root / "a.parquet"
    sound, chance, broken = path.read_bytes(), random.Random(0), []
    for _ in range(300):
        damaged = bytearray(sound)
        damaged[chance.randrange(len(sound))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(damaged))
        try:
            shelf.read("a.parquet")
        except InvalidInput:
            pass
        except Exception as error:
            broken.append(f"{type(error).__name__}: {error}")
    assert broken == []


def test_bytes_that_are_not_utf8_are_refused_by_row_and_offset(shelf: Shelf):
    put(shelf, pa.array([b"good", b"ab\xff"], pa.binary()))
    with pytest.raises(InvalidInput, match=r"'a\.parquet:1' is not UTF-8 at byte 2;"):
        shelf.read("a.parquet")


def test_replacing_is_recorded(shelf: Shelf):
    put(shelf, pa.array([b"good", b"ab\xff"], pa.binary()))
    assert [(d.text, d.replaced) for d in shelf.read("a.parquet", errors="replace")] == [
        ("good", False),
        ("ab\ufffd", True),
    ]
    assert shelf.count("a.parquet", errors="replace").replaced_documents == 1


def test_a_mark_within_a_value_is_text(shelf: Shelf):
    put(shelf, pa.array(["\ufeffone"]))
    assert shelf.pairs("a.parquet") == [("a.parquet:0", "\ufeffone")]


def test_an_over_long_row_is_refused(shelf: Shelf):
    put(shelf, pa.array(["x" * 4096, "x" * 4097]))
    with pytest.raises(TooLarge, match=r"'a\.parquet:1' is longer than 4096 bytes"):
        shelf.read("a.parquet")
