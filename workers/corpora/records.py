"""The text of a record: of a JSON object, or of a row of a data set."""

from __future__ import annotations

import json
from typing import Any

from service.errors import InvalidInput, TooLarge

_MOST_VALUES = 2**24  # of one JSON text: a value takes up to 70 bytes of memory


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidInput: it is not JSON, naming `where`.
        TooLarge: it may have more values than fit in memory.
    """
    check_values(text, where)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where!a} is not JSON") from error


def check_values(text: str, where: str) -> None:
    """Raise `TooLarge` for a JSON text that may have more values than fit in memory."""
    if len(text) > _MOST_VALUES and sum(text.count(mark) for mark in ",[{") > _MOST_VALUES:
        raise TooLarge(f"{where!a} may have more than {_MOST_VALUES} JSON values")


def text_at(record: Any, text_field: str) -> str | None:
    """The text of a record under a key, or under nested keys and places in lists, `a.0.b`; None if there is none."""
    if isinstance(record, dict) and text_field in record:
        found = record[text_field]
    else:
        found = record
        for part in text_field.split("."):
            found = _inside(found, part)
    return found if isinstance(found, str) else None


def _inside(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isascii() and part.isdecimal() and len(part) < 10:
        return value[int(part)] if int(part) < len(value) else None
    return None
