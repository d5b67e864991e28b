"""The fields of each kind of job, as rows: name, type, default and meaning. For `--help-spec`, OpenAPI and the docs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from pydantic import GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from service.contracts.base import Contract, RequestContract

_LIMITS = (("minimum", "≥ "), ("exclusiveMinimum", "> "), ("maximum", "≤ "), ("exclusiveMaximum", "< "))
_LONGEST_DEFAULT = 48  # of an object's default as JSON; a longer one is that of its own fields


@dataclass(frozen=True)
class FieldRow:
    """One field; `name` is dotted within objects, `default` is JSON or `required`."""

    name: str
    type: str
    default: str
    meaning: str


def field_rows(kind: type[Contract]) -> list[FieldRow]:
    """The fields of a spec in the order of their definition; those of an object follow it."""
    schema = kind.model_json_schema()
    return _rows(schema, schema.get("$defs", {}), "")


class SpecSchema:
    """Put on a field of any JSON object: OpenAPI then has the typed specs, with `preset` instead of required fields."""

    def __init__(self, *kinds: type[RequestContract]) -> None:
        self.kinds = kinds

    def __get_pydantic_json_schema__(self, _schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        union: Any = reduce(or_, self.kinds)
        typed = handler(TypeAdapter(union).core_schema)["anyOf"]
        preset = {
            "type": "object",
            "title": "A preset, with overrides",
            "properties": {"preset": {"type": "string", "description": "id of one of /v1/presets"}},
            "required": ["preset"],
        }
        return {"anyOf": [*typed, preset], "description": "read by `kind`; any spec may be a preset with overrides"}


def _rows(schema: dict[str, Any], known: dict[str, Any], prefix: str) -> list[FieldRow]:
    rows: list[FieldRow] = []
    required = set(schema.get("required", []))
    for name, field in schema["properties"].items():
        inner = [known[reference] for reference in _references(field)]
        default = "required" if name in required else _json(field.get("default"))
        meaning = field.get("description") or (inner[0].get("description", "").split("\n")[0] if inner else "")
        rows.append(FieldRow(prefix + name, _type(field), default, meaning))
        if len(inner) == 1 and field.get("type") != "array":
            rows += _rows(inner[0], known, f"{prefix}{name}.")
        elif len(inner) == 1:
            rows += _rows(inner[0], known, f"{prefix}{name}[].")
    return rows


def _references(field: dict[str, Any]) -> list[str]:
    """Names of the objects that a field may hold, or its items."""
    places = [field, field.get("items", {}), *field.get("anyOf", []), *field.get("allOf", [])]
    return [place["$ref"].rsplit("/", 1)[1] for place in places if "$ref" in place]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(part) for part in field["anyOf"]))
    if "$ref" in field or "allOf" in field:
        return "object"
    if "const" in field:
        return _json(field["const"])
    if "enum" in field:
        return " or ".join(_json(value) for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    limits = ", ".join(f"{sign}{_number(field[name])}" for name, sign in _LIMITS if name in field)
    return " ".join(part for part in (field.get("type", "any"), limits) if part)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**9 else f"{value:g}"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_DEFAULT or not isinstance(value, dict) else "see its fields"
