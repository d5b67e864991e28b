"""Reading the documents of a registered corpus, in an order that does not depend on the file system."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path

from service.contracts.corpora import CorpusCounts, CorpusSource
from service.errors import InvalidInput
from service.paths import leaves_root
from service.settings import Settings
from workers.corpora.arrow_files import read_arrow
from workers.corpora.documents import Decoding, Document, LeftOut
from workers.corpora.folders import TextFile, find_files
from workers.corpora.hub_datasets import read_dataset
from workers.corpora.json_files import read_json
from workers.corpora.jsonl_files import read_jsonl
from workers.corpora.parquet_files import read_parquet
from workers.corpora.spgc_files import read_spgc
from workers.corpora.text_files import read_paragraphs, read_separated, read_text

Reader = Callable[[Path, str, Decoding], Iterator[Document]]
_RECORDS = {"jsonl": read_jsonl, "json": read_json, "parquet": read_parquet, "arrow": read_arrow}


def read_documents(source: CorpusSource, settings: Settings, left_out: LeftOut | None = None) -> Iterator[Document]:
    """The documents of `source`, files in the order of their names; `left_out` counts what is not among them.

    Raises:
        NotFound: the path does not exist.
        InvalidInput: there is no readable file, or a file cannot be read in its format.
        TooLarge: a document is longer than the limit, or a file expands too much.
    """
    if source.builtin is not None:
        return _python_docs()
    decoding = Decoding(
        source.errors,
        settings.max_document_bytes,
        settings.max_expansion,
        source.skip_rows_without_text,
        LeftOut() if left_out is None else left_out,
    )
    if source.dataset is not None:
        return read_dataset(source, decoding)
    root = settings.uploads_root / source.upload if source.upload else _under(settings.corpora_root, source.path or "")
    files = find_files(root, source, decoding.left_out)
    return chain.from_iterable(_reader(file, source)(file.path, file.name, decoding) for file in files)


def count_corpus(source: CorpusSource, settings: Settings, tick: Callable[[], None] = lambda: None) -> CorpusCounts:
    """Read a corpus once and count it; `tick` is called after each document. Raises as `read_documents`."""
    left_out = LeftOut()
    counts = count_documents(read_documents(source, settings, left_out), tick)
    return counts.model_copy(update=asdict(left_out))


def count_documents(documents: Iterator[Document], tick: Callable[[], None] = lambda: None) -> CorpusCounts:
    """Count the documents and their bytes of text, and compute the SHA-256 over ids and texts in order."""
    digest = hashlib.sha256()
    count = size = longest = replaced = 0
    for document in documents:
        text = document.text.encode()
        for part in (document.id.encode("utf-8", "surrogateescape"), text):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        count, size, replaced = count + 1, size + len(text), replaced + document.replaced
        longest = max(longest, len(text))
        tick()
    sha256 = digest.hexdigest()
    return CorpusCounts(documents=count, bytes=size, sha256=sha256, replaced_documents=replaced, longest_bytes=longest)


def _python_docs() -> Iterator[Document]:
    from pydoc_data.topics import topics

    release = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (Document(f"python-{release}/{name}", topics[name]) for name in sorted(topics))


def _under(root: Path, relative: str) -> Path:
    """`relative` below `root`; symbolic links of the operator are followed, `..` and absolute paths are refused."""
    if leaves_root(relative):
        raise InvalidInput("the path must lie under the corpora root", field="path")
    return root / relative


def _reader(file: TextFile, source: CorpusSource) -> Reader:
    if file.kind is None:
        raise InvalidInput("the format is not known from the file's ending; give `format`", field="format")
    if file.kind in _RECORDS:
        return partial(_RECORDS[file.kind], text_field=source.text_field)
    if file.kind == "spgc":
        return partial(read_spgc, join=source.join)
    if source.document_separator is not None:
        return partial(read_separated, separator=source.document_separator)
    return read_paragraphs if source.documents == "paragraphs" else read_text
