"""Reading the documents of a registered corpus, in an order that does not depend on the file system."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from service.contracts.corpora import ENDINGS, CorpusCounts, CorpusSource
from service.errors import InvalidInput, NotFound
from service.paths import leaves_root
from service.settings import Settings
from workers.corpora.documents import Decoding, Document
from workers.corpora.jsonl_files import read_jsonl
from workers.corpora.parquet_files import read_parquet
from workers.corpora.spgc_files import read_spgc, spgc_order
from workers.corpora.text_files import read_paragraphs, read_text

Reader = Callable[[Path, str, Decoding], Iterator[Document]]


def read_documents(source: CorpusSource, settings: Settings) -> Iterator[Document]:
    """The documents of `source`, files in the order of their names.

    Raises:
        NotFound: the path does not exist.
        InvalidInput: there is no readable file, or a file cannot be read in its format.
    """
    if source.builtin is not None:
        return _python_docs()
    decoding = Decoding(source.errors, settings.max_document_bytes)
    if source.dataset is not None:
        return _read_dataset(source, decoding)
    root = settings.uploads_root / source.upload if source.upload else _under(settings.corpora_root, source.path or "")
    files = _files(root, source)
    return chain.from_iterable(_reader(path, source)(path, name, decoding) for path, name in files)


def count_documents(documents: Iterator[Document]) -> CorpusCounts:
    """Count the documents and their bytes of text, and compute the SHA-256 over ids and texts in order."""
    digest = hashlib.sha256()
    count = size = replaced = 0
    for document in documents:
        text = document.text.encode()
        for part in (document.id.encode("utf-8", "surrogateescape"), text):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        count, size, replaced = count + 1, size + len(text), replaced + document.replaced
    return CorpusCounts(documents=count, bytes=size, sha256=digest.hexdigest(), replaced_documents=replaced)


def _python_docs() -> Iterator[Document]:
    from pydoc_data.topics import topics

    release = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (Document(f"python-{release}/{name}", topics[name]) for name in sorted(topics))


def _read_dataset(source: CorpusSource, decoding: Decoding) -> Iterator[Document]:
    """Stream a Hugging Face data set; the id of a document is its split and index."""
    from datasets import load_dataset

    name = str(source.dataset)
    if Path(name).exists():  # the loader would read the local path instead of the hub
        raise InvalidInput("a data set must be a name on the hub, not a path", field="dataset")
    try:
        stream = load_dataset(name, source.configuration, split=source.split, revision=source.revision, streaming=True)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the hub did not give such a data set ({type(error).__name__})", field="dataset") from error
    for number, record in enumerate(stream):
        text = record.get(source.text_field)
        if not isinstance(text, str):
            raise InvalidInput(f"record {number} has no text under {source.text_field!a}", field="text_field")
        decoding.check_size(f"{source.split}:{number}", len(text.encode("utf-8", "surrogatepass")))
        yield decoding.well_formed(f"{source.split}:{number}", text)


def _under(root: Path, relative: str) -> Path:
    """`relative` below `root`; symbolic links of the operator are followed, `..` and absolute paths are refused."""
    if leaves_root(relative):
        raise InvalidInput("the path must lie under the corpora root", field="path")
    return root / relative


def _files(root: Path, source: CorpusSource) -> list[tuple[Path, str]]:
    try:
        if root.is_file():
            return [(root, root.name)]
        if not root.is_dir():
            raise NotFound("there is nothing at that path under the corpora root", field="path")
    except OSError as error:  # a name longer than a file's may be
        raise NotFound("there is nothing at that path under the corpora root", field="path") from error
    found = [(path, path.relative_to(root).as_posix()) for path in _walk(root) if _format(path, source) is not None]
    if not found:
        raise InvalidInput("the folder holds no .txt, .jsonl(.gz, .zst) or .parquet file", field="path")
    for _, name in found:
        if any("\udc80" <= character <= "\udcff" for character in name):
            raise InvalidInput(f"the file name {name!a} is not UTF-8", field="path")
    if source.format == "spgc":
        return sorted(found, key=lambda pair: spgc_order(pair[1]))
    return sorted(found, key=lambda pair: pair[1])


def _walk(root: Path) -> Iterator[Path]:
    """All files below `root`; symbolic links are followed, and each folder is entered once."""
    entered: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            below.clear()
            continue
        entered.add(real)
        below.sort()
        yield from (Path(folder, name) for name in files if Path(folder, name).is_file())


def _format(path: Path, source: CorpusSource) -> str | None:
    by_ending = next((kind for ending, kind in ENDINGS.items() if path.name.endswith(ending)), None)
    if source.format is None or source.format == by_ending:
        return by_ending
    return source.format if source.format == "spgc" and by_ending == "txt" else None


def _reader(path: Path, source: CorpusSource) -> Reader:
    kind = _format(path, source) or source.format
    if kind == "jsonl":
        return partial(read_jsonl, text_field=source.text_field)
    if kind == "parquet":
        return partial(read_parquet, text_field=source.text_field)
    if kind == "spgc":
        return partial(read_spgc, join=source.join)
    if kind == "txt":
        return read_paragraphs if source.documents == "paragraphs" else read_text
    raise InvalidInput("the format is not known from the file's ending; give `format`", field="format")
