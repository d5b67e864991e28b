from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from service.contracts.corpora import CorpusSource
from service.errors import InvalidInput, NotFound, RadiusError
from tests.corpora.conftest import Shelf
from workers.corpora.sources import read_documents

NAMES = ["Z.txt", "a.txt", "a/b.txt", "a/b/c.txt", "b.jsonl", "b/a.txt", "é.txt", "10.txt", "9.txt"]


def names(shelf: Shelf, path: str = ".", **source) -> list[str]:
    return [document.id for document in shelf.read(path, **source)]


@pytest.mark.parametrize("seed", range(5))
def test_files_are_read_in_the_order_of_their_names_however_they_came(shelf: Shelf, seed: int):
    order = random.Random(seed).sample(NAMES, len(NAMES))
    for name in order:
        shelf.put(f"books/{name}", '{"text": "one"}' if name.endswith("jsonl") else name)
    assert names(shelf, "books") == [f"{n}:1" if n.endswith("jsonl") else n for n in sorted(NAMES)]


def test_names_are_those_below_the_folder(shelf: Shelf):
    shelf.put("a/b/c.txt")
    assert names(shelf, "a") == ["b/c.txt"]
    assert names(shelf, "a/b/c.txt") == ["c.txt"]


def test_files_of_other_kinds_are_ignored(shelf: Shelf):
    for name in ("a.txt", "b.pdf", "c.csv", "README", "d.txt.bz2", "e.json", "f.gz"):
        shelf.put(name)
    (shelf.settings.corpora_root / "folder.txt").mkdir()
    assert names(shelf) == ["a.txt"]
    assert shelf.count().other_files == 6


def test_a_format_chooses_among_the_files_of_a_folder(shelf: Shelf):
    shelf.put("a.txt")
    shelf.put("b.jsonl", '{"text": "one"}')
    assert names(shelf, format="txt") == ["a.txt"]
    assert names(shelf, format="jsonl") == ["b.jsonl:1"]


def test_a_given_format_applies_to_a_single_file(shelf: Shelf):
    shelf.put("book.log", "one")
    shelf.put("lines.json", '{"text": "two"}')
    assert shelf.pairs("book.log", format="txt") == [("book.log", "one")]
    assert shelf.pairs("lines.json", format="jsonl") == [("lines.json:1", "two")]
    with pytest.raises(InvalidInput, match="format") as caught:
        shelf.read("book.log")
    assert caught.value.field == "format"


@pytest.mark.parametrize("content", [[], ["a.pdf"]])
def test_a_folder_without_text_is_refused(shelf: Shelf, content: list[str]):
    (shelf.settings.corpora_root / "empty").mkdir()
    for name in content:
        shelf.put(f"empty/{name}")
    with pytest.raises(InvalidInput, match="the folder holds no"):
        shelf.read("empty")


@pytest.mark.parametrize("path", ["../secret.txt", "a/../../secret.txt", "..", "/etc/passwd", "/"])
def test_a_path_out_of_the_root_is_refused(shelf: Shelf, path: str):
    (shelf.settings.data_dir / "secret.txt").write_text("secret")
    with pytest.raises(InvalidInput, match="must lie under the corpora root") as caught:
        shelf.read(path)
    assert caught.value.field == "path"


@pytest.mark.parametrize("path", ["nothing", "nothing.txt", "a/b", "a.txt/b", "x" * 300, "a\\b"])
def test_a_path_to_nothing_is_an_error_of_the_request(shelf: Shelf, path: str):
    shelf.put("a.txt")
    with pytest.raises((NotFound, InvalidInput)):
        shelf.read(path)


def test_a_folder_name_with_two_dots_in_it_is_a_name(shelf: Shelf):
    shelf.put("a..b/c.txt")
    assert names(shelf, "a..b") == ["c.txt"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "a.txt").write_text("linked")
    (tmp_path / "elsewhere" / "deep" / "b.txt").write_text("deep")
    return tmp_path / "elsewhere"


def test_a_linked_file_or_folder_is_read(shelf: Shelf, elsewhere: Path):
    os.symlink(elsewhere, shelf.settings.corpora_root / "folder")
    os.symlink(elsewhere / "a.txt", shelf.settings.corpora_root / "file.txt")
    assert names(shelf, "folder") == ["a.txt", "deep/b.txt"]
    assert names(shelf, "folder/deep") == ["b.txt"]
    assert shelf.pairs("file.txt") == [("file.txt", "linked")]


def test_links_within_a_folder_are_followed(shelf: Shelf, elsewhere: Path):
    shelf.put("mixed/own.txt")
    os.symlink(elsewhere / "a.txt", shelf.settings.corpora_root / "mixed" / "file.txt")
    os.symlink(elsewhere, shelf.settings.corpora_root / "mixed" / "folder")
    assert names(shelf, "mixed") == ["file.txt", "folder/a.txt", "folder/deep/b.txt", "own.txt"]


def test_a_cycle_of_links_ends(shelf: Shelf):
    shelf.put("ring/a.txt")
    os.symlink(shelf.settings.corpora_root / "ring", shelf.settings.corpora_root / "ring" / "again")
    with suppress(RadiusError):
        assert "a.txt" in names(shelf, "ring")


def test_every_id_can_be_stored_as_utf8(shelf: Shelf):
    folder = os.fsencode(shelf.put("odd/a.txt").parent)
    for name in (b"\xff.txt", b"\xfe.txt"):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(b"text")
    with suppress(InvalidInput):
        assert len({document.id.encode() for document in shelf.read("odd")}) == 3


def test_an_upload_is_read_from_the_uploads(shelf: Shelf):
    (shelf.settings.uploads_root / "corpus-1.jsonl").write_text('{"text": "one"}\n')
    [document] = read_documents(CorpusSource(upload="corpus-1.jsonl"), shelf.settings)
    assert (document.id, document.text) == ("corpus-1.jsonl:1", "one")
