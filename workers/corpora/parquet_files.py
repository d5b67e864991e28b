"""Reader of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from service.errors import InvalidInput
from workers.corpora.documents import Decoding, Document

_BATCH_ROWS = 256


def read_parquet(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per row, called `name:row` (rows count from 0), its text in the column `text_field`.

    Raises:
        InvalidInput: the file is not Parquet, has no such column of strings, or has a row without text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            if text_field not in table.schema_arrow.names:
                raise InvalidInput(f"{name!a} has no column {text_field!a}", field="text_field")
            row = 0
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[text_field]):
                for value in batch.column(0).cast(pa.large_binary()).to_pylist():
                    if value is None:
                        raise InvalidInput(f"{name!a} has no text in row {row}", field="text_field")
                    yield decoding.document(f"{name}:{row}", value, mark=False)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{name!a} is not a Parquet file with text in {text_field!a}") from error
