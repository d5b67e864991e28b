"""Strict JSON: no NaN, no Infinity, no number beyond a double, no key twice, valid UTF-8."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from service.errors import InvalidInput


def parse_json(body: bytes) -> Any:
    """Parse a body; raises `json.JSONDecodeError`, which the framework answers with 422, where it is not JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError("not JSON", "", 0) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a key given twice is refused, because parsers differ in which value they keep."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise InvalidInput("a number is beyond a double")
    return value
