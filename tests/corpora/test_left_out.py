"""What of a folder is no document: hidden files, copies, caches, files of other kinds; and that it is counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import datasets
import pytest

from service.errors import InvalidInput
from tests.corpora.conftest import Shelf

HIDDEN = [
    ".ipynb_checkpoints/a-checkpoint.txt",
    ".cache/huggingface/data.jsonl",
    ".git/x/y.txt",
    "__MACOSX/._a.txt",
    "sub/__MACOSX/a.txt",
    "._b.txt",
    "sub/.hidden.txt",
]


@pytest.fixture
def two(shelf: Shelf) -> Shelf:
    shelf.put("books/a.txt", "one")
    shelf.put("books/sub/b.txt", "two")
    return shelf


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_file_is_no_document_whatever_it_holds(two: Shelf, name: str):
    two.put(f"books/{name}", b"\x00\x05\x16\x07\xff\xff")
    assert two.pairs("books") == [("a.txt", "one"), ("sub/b.txt", "two")]
    assert (two.count("books").hidden_files, two.count("books").other_files) == (1, 0)


def test_hidden_files_do_not_change_the_digest_and_are_all_counted(two: Shelf):
    before = two.count("books")
    for name in HIDDEN:
        two.put(f"books/{name}", "one")
    after = two.count("books")
    assert (after.documents, after.sha256) == (2, before.sha256)
    assert (before.hidden_files, after.hidden_files) == (0, len(HIDDEN))


def test_a_hidden_folder_may_be_named(shelf: Shelf):
    shelf.put(".cache/a.txt", "one")
    assert shelf.pairs(".cache") == [("a.txt", "one")]
    assert shelf.pairs(".cache/a.txt") == [("a.txt", "one")]


def test_a_folder_with_hidden_files_alone_is_refused_and_says_so(shelf: Shelf):
    shelf.put("books/._a.txt")
    shelf.put("books/a.pdf")
    with pytest.raises(InvalidInput, match=r"holds no \.txt.* file; 1 hidden and 1 other files were left out"):
        shelf.read("books")


@pytest.mark.parametrize("name", ["A.TXT", "a.Txt", "a.JSONL", "a.Jsonl.GZ"])
def test_endings_are_read_in_any_case(shelf: Shelf, name: str):
    content = b'{"text": "one"}' if "l" in name.lower() else b"one"
    shelf.put(f"books/{name}", gzip.compress(content) if name.endswith("GZ") else content)
    assert [text for _, text in shelf.pairs("books")] == ["one"]


def test_a_compressed_copy_beside_the_plain_file_is_not_read_again(shelf: Shelf):
    shelf.put("books/a.txt", "one")
    shelf.put("books/a.txt.gz", gzip.compress(b"one"))
    shelf.put("books/b.txt.gz", gzip.compress(b"two"))
    assert shelf.pairs("books") == [("a.txt", "one"), ("b.txt.gz", "two")]
    assert shelf.count("books").other_files == 1


def test_json_files_beside_text_are_metadata_unless_they_are_meant(shelf: Shelf):
    shelf.put("books/a.txt", "one")
    shelf.put("books/info.json", '{"text": "two"}')
    assert shelf.pairs("books") == [("a.txt", "one")]
    assert shelf.pairs("books", format="json") == [("info.json:0", "two")]
    shelf.put("records/a.json", '[{"text": "three"}]')
    assert shelf.pairs("records") == [("a.json:0", "three")]


def save(folder: Path, *texts: str) -> None:
    datasets.Dataset.from_dict({"text": list(texts)}).save_to_disk(folder)


def test_of_a_saved_data_set_its_data_alone_are_read(shelf: Shelf):
    folder = shelf.settings.corpora_root / "saved"
    save(folder, "one", "two")
    loaded = datasets.load_from_disk(folder)
    assert isinstance(loaded, datasets.Dataset)
    loaded.map(lambda row: {"text": row["text"] * 2}, load_from_cache_file=False)
    assert len(list(folder.glob("cache-*.arrow"))) == 1
    assert shelf.pairs("saved") == [("data-00000-of-00001.arrow:0", "one"), ("data-00000-of-00001.arrow:1", "two")]
    assert shelf.count("saved").other_files == 3


def test_of_several_saved_data_sets_one_split_is_read(shelf: Shelf):
    parts = {"train": ["one"], "test": ["two", "three"]}
    saved = {name: datasets.Dataset.from_dict({"text": texts}) for name, texts in parts.items()}
    datasets.DatasetDict(**saved).save_to_disk(shelf.settings.corpora_root / "saved")
    assert [text for _, text in shelf.pairs("saved")] == ["one"]
    assert [text for _, text in shelf.pairs("saved", split="test")] == ["two", "three"]
    with pytest.raises(InvalidInput, match="has 2 splits, and none of that name") as caught:
        shelf.read("saved", split="../saved/test")
    assert caught.value.field == "split"
