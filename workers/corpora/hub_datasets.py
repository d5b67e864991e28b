"""Reader of Hugging Face data sets, streamed from the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from service.contracts.corpora import CorpusSource
from service.errors import InvalidInput
from workers.corpora.documents import Decoding, Document
from workers.corpora.records import text_at


def read_dataset(source: CorpusSource, decoding: Decoding) -> Iterator[Document]:
    """The records of a data set; the id of a document is its split and index.

    Raises:
        InvalidInput: there is no such data set, or a record has no text.
        TooLarge: a text is longer than a document may be.
    """
    from datasets import load_dataset

    name = str(source.dataset)
    if Path(name).exists():  # the loader would read the local path instead of the hub
        raise InvalidInput("a data set must be a name on the hub, not a path", field="dataset")
    try:
        stream = load_dataset(name, source.configuration, split=source.split, revision=source.revision, streaming=True)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the hub did not give such a data set ({type(error).__name__})", field="dataset") from error
    for number, record in enumerate(stream):
        text = text_at(record, source.text_field)
        if text is None:
            decoding.no_text(f"record {number} has no text under {source.text_field!a}")
        else:
            decoding.check_size(f"{source.split}:{number}", len(text.encode("utf-8", "surrogatepass")))
            yield decoding.well_formed(f"{source.split}:{number}", text)
