"""Corpora: documents of text."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from service.contracts.base import Contract, Identifier, Name, Text

CorpusFormat = Literal["txt", "jsonl", "parquet", "spgc"]
BUILTINS: dict[str, str] = {"python-docs": "The language reference that ships inside Python (pydoc_data.topics)"}


class CorpusSource(Contract):
    """Where the text of a corpus is; exactly one of `path`, `dataset`, `builtin` and `upload` is set."""

    path: Text | None = Field(None, description="file or folder under the corpora root")
    dataset: Text | None = Field(None, description="Hugging Face data set, owner/name")
    builtin: Literal["python-docs"] | None = None
    upload: Name | None = Field(None, description="made by the server for an uploaded file")
    format: CorpusFormat | None = Field(None, description="default: by the file's ending")
    documents: Literal["file", "paragraphs"] = Field(
        "file", description=".txt: a document per file, or per block of lines between blank lines"
    )
    join: Literal["newline", "space"] = Field("newline", description="spgc: how the words of a token file are joined")
    text_field: Name = Field("text", description="column or key that holds the text (.jsonl, .parquet, data set)")
    errors: Literal["strict", "replace"] = Field("strict", description="what to do with bytes that are not UTF-8")
    revision: Name | None = Field(None, description="data set: commit or tag")
    configuration: Name | None = Field(None, description="data set: configuration name")
    split: Name = Field("train", description="data set: split")


class CorpusRequest(CorpusSource):
    """Body of `POST /v1/corpora`."""

    name: Identifier | None = Field(None, description="how jobs may call it; unique; default: the id")
    upload: None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(value is not None for value in (self.path, self.dataset, self.builtin)) != 1:
            raise ValueError("give exactly one of path, dataset and builtin")
        return self


class CorpusCounts(Contract):
    """What reading a corpus once tells."""

    documents: int
    bytes: int = Field(description="UTF-8 bytes of all texts")
    sha256: str = Field(description="over every document's id and text, in reading order")
    replaced_documents: int = Field(0, description="documents in which bytes were replaced (errors=replace)")


class Corpus(Contract):
    """A registered corpus; the counts are null until it was read (`state` ready)."""

    id: Identifier
    name: str
    state: Literal["scanning", "ready", "failed"]
    source: CorpusSource
    documents: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    replaced_documents: int | None = None
    error: dict[str, str] | None = None
    created_at: datetime
