"""The note of a staged sample, as this version writes it and as others do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.errors import CorruptArtifact
from workers.flows.extraction.note import SAMPLE_NOTE, SampleNote, read_sample_note, write_sample_note

OLDER: dict[str, Any] = {
    "chunks": 5,
    "rows": 80,
    "shards": 2,
    "chunks_sha256": "0" * 64,
    "corpus": {"name": "book", "sha256": None},
    "documents_read": 3,
    "documents_tokenized": 3,
    "documents_too_short": 1,
    "documents_sampled": 2,
    "chunk_rule": "consecutive",
}
NEW = {"chunks_there": None, "special_tokens": 4}


def test_a_note_is_read_as_it_was_written(tmp_path: Path):
    write_sample_note(tmp_path, SampleNote(**OLDER, **NEW))
    assert json.loads((tmp_path / SAMPLE_NOTE).read_bytes()) == OLDER | NEW
    assert read_sample_note(tmp_path) == SampleNote(**OLDER, **NEW)


def test_an_earlier_note_gets_defaults_and_keeps_its_form(tmp_path: Path):
    (tmp_path / SAMPLE_NOTE).write_text(json.dumps(OLDER))
    note = read_sample_note(tmp_path)
    assert (note.chunks_there, note.special_tokens) == (None, 0)
    assert note.as_stored() == OLDER


@pytest.mark.parametrize(
    "text", [json.dumps(OLDER)[:-9], json.dumps(OLDER | {"layout": 2}), '{"chunks": 5}', "\\ud800"]
)
def test_what_is_no_note_of_this_version_is_refused(tmp_path: Path, text: str):
    (tmp_path / SAMPLE_NOTE).write_text(text)
    with pytest.raises(CorruptArtifact):
        read_sample_note(tmp_path)


def test_a_missing_note_is_refused(tmp_path: Path):
    with pytest.raises(CorruptArtifact, match="missing"):
        read_sample_note(tmp_path)
