"""Corpora: documents of text."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from service.contracts.base import Contract, Identifier, Name, RequestContract, Text

CorpusFormat = Literal["txt", "jsonl", "json", "parquet", "arrow", "spgc"]
COMPRESSIONS = ("", ".gz", ".zst", ".xz")
_PLAIN: tuple[CorpusFormat, ...] = ("txt", "jsonl", "json")
ENDINGS: dict[str, CorpusFormat] = {f".{kind}{packed}": kind for kind in _PLAIN for packed in COMPRESSIONS}
ENDINGS |= {".parquet": "parquet", ".arrow": "arrow"}
BUILTINS: dict[str, str] = {"python-docs": "The language reference that ships inside Python (pydoc_data.topics)"}


_PAPER_CORPORA = {  # that presets of the paper name, and what to send to POST /v1/corpora
    "openwebtext": '{"name": "openwebtext", "dataset": "Skylion007/openwebtext"}, or "path" with a folder of its files',
    "spgc": '{"name": "spgc", "path": FOLDER, "format": "spgc"} with its token files under the corpora root',
}


def how_to_register(name: str) -> str | None:
    """Instructions to register the corpus that a preset of the paper names; None for other names."""
    body = _PAPER_CORPORA.get(name)
    return None if body is None else f"no corpus named {name} is registered; POST /v1/corpora {body}"


def known_ending(name: str) -> str | None:
    """The ending by which a file is read, in small letters; None for other files."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)


# A hub name can be no path: the loader would read a local folder of that name.
HubName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$", max_length=200)]


class ReadingOptions(RequestContract):
    """Options by which the files of a corpus are read."""

    format: CorpusFormat | None = Field(default=None, description="default: by the file's ending")
    documents: Literal["file", "paragraphs"] = Field(
        default="file", description=".txt: a document per file, or per block of lines between blank lines"
    )
    join: Literal["newline", "space"] = Field(
        default="newline", description="spgc: how the words of a token file are joined"
    )
    text_field: Name = Field(
        default="text",
        description="column or key that holds the text (.jsonl, .json, .parquet, .arrow, data set); nested: `a.b`",
    )
    skip_rows_without_text: bool = Field(
        default=False, description="leave out rows whose text is missing or null, and count them; false: refuse them"
    )
    document_separator: Text | None = Field(
        default=None, description=".txt: a document ends where this occurs, such as <|endoftext|>"
    )
    errors: Literal["strict", "replace"] = Field(
        default="strict", description="what to do with bytes that are not UTF-8"
    )

    @model_validator(mode="after")
    def _one_division(self) -> Self:
        if self.document_separator is not None and self.documents != "file":
            raise ValueError("give documents=paragraphs or a document_separator, not both")
        return self


class CorpusFields(ReadingOptions):
    """The source of a corpus's text, and the options to read it."""

    path: Text | None = Field(default=None, description="file or folder under the corpora root")
    dataset: HubName | None = Field(default=None, description="Hugging Face data set, owner/name")
    builtin: Literal["python-docs"] | None = None
    revision: Name | None = Field(default=None, description="data set: commit or tag")
    configuration: Name | None = Field(default=None, description="data set: configuration name")
    split: Name = Field(default="train", description="data set, also a folder of several that was saved: split")


class UploadFields(ReadingOptions):
    """The form fields of an upload."""

    name: Identifier | None = Field(
        default=None, description="name by which jobs may refer to it; unique; default: the id"
    )


class CorpusSource(CorpusFields):
    """The source of a registered corpus: exactly one of `path`, `dataset`, `builtin` and `upload` is set."""

    upload: Name | None = Field(default=None, description="name that the server gave the uploaded file")


class CorpusRequest(CorpusFields):
    """Body of `POST /v1/corpora`."""

    name: Identifier | None = Field(
        default=None, description="name by which jobs may refer to it; unique; default: the id"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(value is not None for value in (self.path, self.dataset, self.builtin)) != 1:
            raise ValueError("give exactly one of path, dataset and builtin")
        return self


class CorpusCounts(Contract):
    """The counts of one reading of a corpus."""

    documents: int
    bytes: int = Field(description="UTF-8 bytes of all texts")
    sha256: str = Field(description="over every document's id and text, in reading order")
    replaced_documents: int = Field(default=0, description="documents in which bytes were replaced (errors=replace)")
    longest_bytes: int = Field(default=0, description="UTF-8 bytes of the longest text")
    rows_without_text: int = Field(default=0, description="rows that were left out (skip_rows_without_text)")
    hidden_files: int = Field(
        default=0, description="files that were left out as they, or their folder, are called `.…` or `__MACOSX`"
    )
    other_files: int = Field(default=0, description="files of the folder that were left out as they are no text of it")


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
    longest_bytes: int | None = None
    rows_without_text: int | None = None
    hidden_files: int | None = None
    other_files: int | None = None
    error: dict[str, str] | None = None
    created_at: datetime
