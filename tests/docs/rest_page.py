"""The page of the REST interface, from the committed OpenAPI document."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from tests.api.openapi import COMMITTED
from tests.docs.field_tables import code, table

_INTRO = """# REST

A running service has the same at `/docs`, where calls can be tried, and as OpenAPI at `/openapi.json`.

- Bodies and answers are JSON. Unknown fields are refused and named.
- Errors are `application/problem+json`: a stable `code`, a `detail` for people and, where a field is wrong, `errors`.
- Listings are pages: `{"data": [...], "next": cursor}`; the next page is `?after=cursor`; `next` is null on the last.
- Where keys are configured every request needs `Authorization: Bearer KEY`.
- `Idempotency-Key` on `POST /v1/jobs`: the same key and body is the same job.

"""


def rest_page() -> str:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    by_tag: defaultdict[str, list[str]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag[(operation.get("tags") or ["about"])[0]].append(_call(method.upper(), path, operation, document))
    return _INTRO + "\n".join(f"## {tag}\n\n" + "\n".join(calls) for tag, calls in by_tag.items())


def _call(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    parameters = [
        (code(parameter["name"]), parameter["in"], parameter.get("description") or _kind(parameter["schema"]))
        for parameter in operation.get("parameters", [])
        if parameter["in"] != "path"
    ]
    text = (operation.get("description") or operation["summary"]).split("\n\n")[0].replace("\n", " ")
    shown = table(("parameter", "in", "meaning"), parameters) if parameters else ""
    body = _body(operation, document)
    return f"### {method} {path}\n\n{text}\n\n{body}{shown}"


def _body(operation: dict[str, Any], document: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    reference = content.get("schema", {}).get("$ref")
    if reference is None:
        return ""
    schema = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    required = set(schema.get("required", []))
    fields = ", ".join(f"`{name}`{'' if name in required else '?'}" for name in schema.get("properties", {}))
    return f"Body: {fields}. A `?` marks what may be left out.\n\n"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return str(schema.get("type", ""))
