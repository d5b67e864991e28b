"""The column of an Arrow table that holds the text: a top-level one, or one nested in structs."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from service.errors import InvalidInput

_TEXT_TYPES = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
    pa.types.is_null,
)  # fmt: skip
_BYTES = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}


def find_column(schema: pa.Schema, text_field: str, name: str) -> list[str]:
    """The path to the column `text_field` of a file: its name, or the names `a`, `b` of a nested one, `a.b`.

    Raises:
        InvalidInput: there is no such column, or it holds no text.
    """
    for path in ([text_field], text_field.split(".")):
        kind: pa.DataType | pa.Schema | None = schema
        for part in path:
            kind = _inside(kind, part)
        if kind is not None:
            break
    else:
        raise InvalidInput(f"{name!a} has no column {text_field!a}", field="text_field")
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    if not any(is_type(kind) for is_type in _TEXT_TYPES):
        raise InvalidInput(f"the column {text_field!a} of {name!a} holds no text", field="text_field")
    return path


def values_of(batch: pa.RecordBatch, path: list[str]) -> Iterator[bytes | None]:
    """The bytes of each row, None for a null; one row at a time, also of a column that repeats its values.

    Raises:
        ArrowException, IndexError: the batch is damaged.
    """
    batch.validate()
    column = batch.column(path[0])
    for part in path[1:]:
        column = pc.call_function("struct_field", [column], pc.StructFieldOptions(part))
    if isinstance(column, pa.DictionaryArray):
        values = _checked(column.dictionary)
        for index in column.indices.to_pylist():
            yield None if index is None else values[index].as_py()
    else:
        for value in _checked(column):
            yield value.as_py()


def _checked(column: pa.Array) -> pa.Array:
    """A column of text as bytes, all of which lie within its buffers; UTF-8 is checked by `Decoding`."""
    checked = column.view(_BYTES[column.type]) if column.type in _BYTES else column
    checked.validate(full=True)
    return checked


def _inside(kind: pa.DataType | pa.Schema | None, name: str) -> pa.DataType | None:
    """The type of the field of that name, if there is one and no other of its name."""
    if kind is None or not isinstance(kind, pa.Schema | pa.StructType):
        return None
    index = kind.get_field_index(name)
    return kind.field(index).type if index >= 0 else None
