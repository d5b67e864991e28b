"""Reader of Arrow files, as `datasets.save_to_disk` writes them: the streaming format, or the file format."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from service.errors import InvalidInput
from workers.corpora.documents import Decoding, Document
from workers.corpora.text_columns import find_column, values_of

_MAGIC = b"ARROW1\0\0"  # of the file format, which holds a stream after it
_HEADER, _COMPRESSION = 2, 3  # fields of the tables Message and RecordBatch in Arrow's Message.fbs
_DICTIONARY_DATA = 1  # of DictionaryBatch: its RecordBatch


def read_arrow(path: Path, name: str, decoding: Decoding, text_field: str) -> Iterator[Document]:
    """A document per row, called `name:row` (rows count from 0), its text in the column `text_field`.

    The file is mapped into memory. Compressed files are refused: their buffers could expand without a bound.

    Raises:
        InvalidInput: the file is not Arrow, is damaged or compressed, has no such column of text, or a row has no text.
    """
    row = 0
    try:
        with pa.memory_map(str(path)) as file:
            start = len(_MAGIC) if file.read(len(_MAGIC)) == _MAGIC else 0
            file.seek(start)
            for message in pa.ipc.MessageReader.open_stream(file):
                if message.type != "schema" and _is_compressed(message):
                    raise InvalidInput(f"{name!a} is compressed; write it again without compression, or as Parquet")
            file.seek(start)
            with pa.ipc.open_stream(file) as stream:
                column = find_column(stream.schema, text_field, name)
                for batch in stream:
                    for value in values_of(batch, column):
                        if value is None:
                            decoding.no_text(f"{name!a} has no text in row {row}")
                        else:
                            yield decoding.document(f"{name}:{row}", value, mark=False)
                        row += 1
    except (pa.ArrowException, OSError, struct.error, IndexError) as error:
        raise InvalidInput(f"{name!a} is not an Arrow file, or it is damaged") from error


def _is_compressed(message: pa.ipc.Message) -> bool:
    """Whether the buffers of a record batch, or of a dictionary, are compressed, by the message's FlatBuffer."""
    content = message.metadata.to_pybytes()
    (root,) = struct.unpack_from("<I", content, 0)
    batch = _table(content, root, _HEADER)
    if batch is not None and message.type == "dictionary":
        batch = _table(content, batch, _DICTIONARY_DATA)
    return batch is not None and _table(content, batch, _COMPRESSION) is not None


def _table(content: bytes, table: int, field: int) -> int | None:
    """The place of the table that a field of a FlatBuffer's table refers to; None where the field is left out."""
    vtable = table - struct.unpack_from("<i", content, table)[0]
    (size,) = struct.unpack_from("<H", content, vtable)
    slot = 4 + 2 * field
    (offset,) = struct.unpack_from("<H", content, vtable + slot) if slot < size else (0,)
    return table + offset + struct.unpack_from("<I", content, table + offset)[0] if offset else None
