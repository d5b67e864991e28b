"""A corpora root in which tests write and read files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from service.contracts.corpora import CorpusCounts, CorpusSource
from service.settings import Settings
from workers.corpora.documents import Document
from workers.corpora.sources import count_corpus, read_documents


@dataclass(frozen=True)
class Shelf:
    """A corpora root of its own."""

    settings: Settings

    def put(self, path: str, content: bytes | str = b"text") -> Path:
        target = self.settings.corpora_root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def read(self, path: str | None = ".", **source) -> list[Document]:
        return list(read_documents(CorpusSource(path=path, **source), self.settings))

    def pairs(self, path: str | None = ".", **source) -> list[tuple[str, str]]:
        return [(document.id, document.text) for document in self.read(path, **source)]

    def count(self, path: str | None = ".", **source) -> CorpusCounts:
        return count_corpus(CorpusSource(path=path, **source), self.settings)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty corpora root; a document may have 4096 bytes."""
    made = Shelf(Settings(data_dir=tmp_path / "data", max_document_bytes=4096))
    made.settings.make_folders()
    return made
