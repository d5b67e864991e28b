"""Ids and labels of imported rows: a line for each, read back with the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.artifacts.importing import import_vectors
from service.errors import InvalidInput
from tests.artifacts.files import normal, npy
from tests.artifacts.sets import open_set


def imported(folder: Path, **names: bytes):
    (folder / "upload").write_bytes(npy(normal(3)))
    given = {}
    for field, content in names.items():
        given[field] = folder / field
        given[field].write_bytes(content)
    import_vectors(folder / "upload", folder / "set", {"id": "act-1", "name": "mine"}, **given)
    return open_set(folder / "set")


def test_ids_and_labels_come_back_with_their_rows(tmp_path: Path):
    stored = imported(tmp_path, ids="a\nß\u2028x\nc d".encode(), labels=b"\xef\xbb\xbfcat\r\n\r\ndog\r\n")
    rows = stored.rows([2, 0, 1])
    assert [row.id for row in rows] == ["c d", "a", "ß\u2028x"]  # only line feeds end a line
    assert [row.label for row in rows] == ["dog", "cat", None]
    assert "names.safetensors" in {entry["name"] for entry in stored.manifest["files"]}


def test_either_may_be_missing(tmp_path: Path):
    (row,) = imported(tmp_path, labels=b"x\ny\nz\n").rows([1])
    assert (row.id, row.label) == (None, "y")


@pytest.mark.parametrize(
    ("field", "content", "message"),
    [
        ("ids", b"a\nb\n", "there are 2 lines for the 3 rows"),
        ("ids", b"a\nb\nc\n\n", "there are more lines than the 3 rows"),
        ("ids", b"a\nb\na\n", "lines 1 and 3 are the same id"),
        ("ids", b"a\n\nb\n", "line 2 is empty"),
        ("labels", b"", "there are 0 lines for the 3 rows"),
        ("labels", b"a\nb\n\xff\n", "is not UTF-8"),
        ("labels", b"a\n" + b"b" * 1025 + b"\nc\n", "line 2 is longer than 1024 characters"),
    ],
)
def test_lines_that_do_not_fit_are_refused_by_their_number(tmp_path: Path, field: str, content: bytes, message: str):
    with pytest.raises(InvalidInput, match=message) as caught:
        imported(tmp_path, **{field: content})
    assert caught.value.field == field
    assert not (tmp_path / "set").exists()
