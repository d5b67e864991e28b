from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

from service.contracts.corpora import CorpusSource
from service.errors import InvalidInput, RadiusError, TooLarge
from tests.corpora.conftest import Shelf
from workers.corpora.sources import read_documents


class Hub:
    """Replaces `load_dataset`: records the call and returns records from memory."""

    def __init__(self, *records: Any, error: Exception | None = None) -> None:
        self.records, self.error, self.calls = records, error, []

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls.append((arguments, options))
        if self.error:
            raise self.error
        return iter(self.records)


def install(monkeypatch: pytest.MonkeyPatch, hub: Any) -> Any:
    monkeypatch.setattr(datasets, "load_dataset", hub)
    return hub


def test_data_set_revision_and_split_are_passed_on_and_streamed(monkeypatch: pytest.MonkeyPatch, shelf: Shelf):
    hub = install(monkeypatch, Hub({"text": "one"}, {"text": "two"}))
    source = {"dataset": "owner/name", "configuration": "en", "revision": "v1.2", "split": "test"}
    assert shelf.pairs(None, **source) == [("test:0", "one"), ("test:1", "two")]
    assert hub.calls == [(("owner/name", "en"), {"split": "test", "revision": "v1.2", "streaming": True})]


def test_the_train_split_of_the_newest_revision_is_the_default(monkeypatch: pytest.MonkeyPatch, shelf: Shelf):
    hub = install(monkeypatch, Hub())
    assert shelf.pairs(None, dataset="owner/name") == []
    assert hub.calls == [(("owner/name", None), {"split": "train", "revision": None, "streaming": True})]


def test_no_more_is_taken_from_the_stream_than_is_read(monkeypatch: pytest.MonkeyPatch, shelf: Shelf):
    install(monkeypatch, Hub({"text": "one"}, {"text": None}))
    reading = read_documents(CorpusSource(dataset="owner/name"), shelf.settings)
    assert next(reading).text == "one"


@pytest.mark.parametrize("record", [{}, {"text": None}, {"text": 3}, {"body": "one"}, {"text": ["one"]}])
def test_a_record_without_text_is_refused_by_number(monkeypatch: pytest.MonkeyPatch, shelf: Shelf, record: dict):
    install(monkeypatch, Hub({"text": "one"}, record))
    with pytest.raises(InvalidInput, match="record 1 has no text under 'text'") as caught:
        shelf.read(None, dataset="owner/name")
    assert caught.value.field == "text_field"


def test_the_text_may_be_under_another_key(monkeypatch: pytest.MonkeyPatch, shelf: Shelf):
    install(monkeypatch, Hub({"body": "one"}))
    assert shelf.pairs(None, dataset="owner/name", text_field="body") == [("train:0", "one")]


def test_an_over_long_record_is_refused(monkeypatch: pytest.MonkeyPatch, shelf: Shelf):
    install(monkeypatch, Hub({"text": "x" * 4097}))
    with pytest.raises(TooLarge):
        shelf.read(None, dataset="owner/name")


@pytest.mark.parametrize(
    "error",
    [
        DatasetNotFoundError("Dataset 'owner/name' doesn't exist on the Hub"),
        DataFilesNotFoundError("No (supported) data files found in owner/name"),
        ConnectionError("Couldn't reach 'owner/name' on the Hub"),
        ValueError("Unknown split 'train'. Should be one of ['test']."),
    ],
)
def test_errors_of_the_hub_become_typed_errors(monkeypatch: pytest.MonkeyPatch, shelf: Shelf, error: Exception):
    install(monkeypatch, Hub(error=error))
    with pytest.raises(RadiusError):
        shelf.read(None, dataset="owner/name")


def test_a_real_stream_is_read(monkeypatch: pytest.MonkeyPatch, shelf: Shelf, tmp_path: Path):
    texts = [f"text {number} é" for number in range(10)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    load = datasets.load_dataset

    def from_disk(_name: str, _configuration: str | None, **options: Any) -> Any:
        return load("json", data_files=str(tmp_path / "train.jsonl"), cache_dir=str(tmp_path / "cache"), **options)

    install(monkeypatch, from_disk)
    expected = [(f"train:{number}", text) for number, text in enumerate(texts)]
    assert shelf.pairs(None, dataset="owner/name") == expected


def test_a_folder_of_this_machine_is_no_data_set(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "owner" / "private").mkdir(parents=True)
    (tmp_path / "owner" / "private" / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match="not a path"):
        shelf.read(None, dataset="owner/private")
