"""Reader of Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.errors import InvalidInput
from workers.corpora.compression import check_expansion
from workers.corpora.documents import Decoding, Document
from workers.corpora.text_columns import find_column, values_of

_BATCH_ROWS, _FEW_ROWS = 256, 16
_LARGE = 256 * 2**20  # bytes of a row group, uncompressed, from which few rows are decoded at once
_OF_DAMAGED_NAMES = UnicodeDecodeError, KeyError
_BUFFER = 2**20


def read_parquet(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per row, called `name:row` (rows count from 0), its text in the column `text_field`.

    Raises:
        InvalidInput: the file is not Parquet or cannot be decoded, has no such column of text, or a row has no text.
        TooLarge: the file, or a row group by its own account, expands too much.
    """
    size, expanded = path.stat().st_size, 0
    with _errors_named(name), _open(path, name) as described:
        column = find_column(described.schema_arrow, text_field, name)
        # As a dictionary, a value that is repeated in the file is also in memory once.
        options = {"read_dictionary": [text_field], "buffer_size": _BUFFER}
        check = partial(check_expansion, name, size=size, max_expansion=decoding.max_expansion)
        with pq.ParquetFile(path, metadata=described.metadata, **options) as table:
            for row, value in enumerate(_values(table, text_field, column, check)):
                if value is None:
                    decoding.no_text(f"{name!a} has no text in row {row}")
                else:
                    expanded += len(value)
                    check(expanded)
                    yield decoding.document(f"{name}:{row}", value, mark=False)


def _values(
    table: pq.ParquetFile, text_field: str, column: list[str], check: Callable[[int], None]
) -> Iterator[bytes | None]:
    """The values of the column; `check` is called with the size of each row group before it is decoded."""
    for group in range(table.num_row_groups):
        stored = table.metadata.row_group(group).total_byte_size
        check(stored)
        rows = _BATCH_ROWS if stored < _LARGE else _FEW_ROWS
        for batch in table.iter_batches(batch_size=rows, row_groups=[group], columns=[text_field]):
            yield from values_of(batch, column)


def _open(path: Path, name: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, *_OF_DAMAGED_NAMES) as error:
        if "size limit" in str(error):  # of Thrift, for the file's metadata
            detail = f"{name!a} has more metadata than Arrow reads; write it again with fewer row groups or columns"
            raise InvalidInput(detail) from error
        raise InvalidInput(f"{name!a} is not a Parquet file, or it is damaged") from error


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, *_OF_DAMAGED_NAMES, IndexError) as error:
        raise InvalidInput(f"{name!a} cannot be decoded ({type(error).__name__}); it may be damaged") from error
