"""The note beside a staged sample: what was drawn from which corpus. It becomes `sample` of the sets' manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.artifacts.atomic import write_bytes
from service.artifacts.manifest import canonical_json
from service.contracts.base import Contract
from service.errors import CorruptArtifact

SAMPLE_NOTE = "sample.json"


class SampleNote(Contract):
    """A staged sample; fields with a default are missing from the notes of earlier versions.

    Attributes:
        shards: number of files that the chunks are in.
        chunks_sha256: digest of these files.
        corpus: the corpus as the catalog described it.
        chunks_there: all chunks of the corpus, where fewer were sampled than wanted.
        special_tokens: tokens of the chunks that are special ones, spelt in the text.
    """

    chunks: int
    rows: int
    shards: int
    chunks_sha256: str
    corpus: dict[str, Any]
    documents_read: int
    documents_tokenized: int
    documents_too_short: int
    documents_sampled: int
    chunk_rule: str
    chunks_there: int | None = None
    special_tokens: int = 0

    def as_stored(self) -> dict[str, Any]:
        """The note as JSON; one of an earlier version keeps its form."""
        return self.model_dump(mode="json", exclude_unset=True)


def read_sample_note(folder: Path) -> SampleNote:
    """The note of the sample staged in `folder`.

    Raises:
        CorruptArtifact: it is missing, or is none.
    """
    try:
        return SampleNote.model_validate_json((folder / SAMPLE_NOTE).read_bytes())
    except FileNotFoundError as error:
        raise CorruptArtifact("the unpublished sample of the extraction is missing") from error
    except ValueError as error:
        raise CorruptArtifact("the note of the unpublished sample is damaged, or of another version") from error


def write_sample_note(folder: Path, note: SampleNote) -> None:
    """Write the note, after all files of the sample: it says that they are complete."""
    write_bytes(folder / SAMPLE_NOTE, canonical_json(note.as_stored()))
