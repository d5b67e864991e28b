"""Ids and labels of imported rows, from text files with a line for each row.

names.safetensors    packed ids and labels (service/artifacts/strings.py), those that were given
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.artifacts.strings import pack_strings, unpack_string
from service.errors import InvalidInput

Array = np.ndarray
NAMES = "names.safetensors"
_LONGEST = 1024  # characters of a line


def read_names(ids: Path | None, labels: Path | None, rows: int) -> dict[str, Array]:
    """The tensors of `names.safetensors`; empty where neither file is given.

    Raises:
        InvalidInput: not UTF-8, another number of lines than rows, a line that is too long, or an id that is empty or
            given twice; naming the line.
    """
    found: dict[str, Array] = {}
    for field, source in (("ids", ids), ("labels", labels)):
        if source is None:
            continue
        lines = _read_lines(source, field, rows)
        if field == "ids":
            _check_ids(lines)
        found[f"{field}_utf8"], found[f"{field}_ends"] = pack_strings(lines)
    return found


def name_of(tensors: dict[str, Array], field: str, row: int) -> str | None:
    """The id or label of a row; None where there are none, or the line is empty."""
    if f"{field}_ends" not in tensors:
        return None
    return unpack_string(tensors[f"{field}_utf8"], tensors[f"{field}_ends"], row) or None


def _read_lines(source: Path, field: str, rows: int) -> list[str]:
    lines: list[str] = []
    try:
        with source.open(encoding="utf-8-sig", newline="\n") as stream:
            while line := stream.readline(_LONGEST + 2):
                lines.append(line.removesuffix("\n").removesuffix("\r"))
                if len(lines[-1]) > _LONGEST:
                    raise InvalidInput(f"line {len(lines)} is longer than {_LONGEST} characters", field=field)
                if len(lines) > rows:
                    raise InvalidInput(f"there are more lines than the {rows} rows of the vectors", field=field)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the text after line {len(lines)} is not UTF-8", field=field) from error
    if len(lines) < rows:
        raise InvalidInput(f"there are {len(lines)} lines for the {rows} rows of the vectors", field=field)
    return lines


def _check_ids(lines: list[str]) -> None:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            raise InvalidInput(f"line {number} is empty; an id is not", field="ids")
        first = seen.setdefault(line, number)
        if first != number:
            raise InvalidInput(f"lines {first} and {number} are the same id", field="ids")
