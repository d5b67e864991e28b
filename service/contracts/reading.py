"""Validation of untrusted values: errors name fields of contracts and repeat nothing of the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from service.contracts.base import Contract
from service.errors import FieldErrors, InvalidInput

Model = TypeVar("Model", bound=Contract)
INVALID = "the request is not valid"
_FORM_FIELDS = frozenset({"file", "name"})
_LONGEST_NAME = 64  # of an unknown field, in an error
_UNKNOWN = "is not a field of this version"
_MESSAGES = {
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "extra_forbidden": "has a field that is not known; /docs lists them",
}


def read_contract(kind: type[Model], values: Any, *, prefix: str = "") -> Model:
    """`values` as a `kind`; `prefix` is put before the names of its fields in errors.

    Raises:
        InvalidInput: naming each wrong field.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        errors = describe_errors(error.errors(), prefix=prefix)
        detail = "; ".join(f"{found['field']}: {found['message']}" for found in errors)
        raise InvalidInput(detail, errors=errors) from error


def describe_errors(
    errors: Iterable[Mapping[str, Any]], *, prefix: str = "", name_unknown: bool = False
) -> FieldErrors:
    """`[{"field", "message"}]` of pydantic's errors, one per field and message, at most 20.

    Names that are not ours (an unknown field, a label's key) and the tags that pydantic gives to unions are left out;
    with `name_unknown` an unknown field is named.
    """
    found: FieldErrors = []
    for error in errors:
        names, message = _known(error["loc"]), _message(error)
        if name_unknown and error["type"] == "extra_forbidden":
            names, message = [*_known(error["loc"][:-1]), str(error["loc"][-1])[:_LONGEST_NAME]], _UNKNOWN
        entry = {"field": (prefix + ".".join(names)).strip(".") or "body", "message": message}
        if entry not in found:
            found.append(entry)
    return found[:20]


def _known(location: Sequence[int | str]) -> list[str]:
    if location and location[0] in ("query", "path", "header"):
        return [str(location[1])] if len(location) > 1 else []
    inner = location[1:] if location and location[0] == "body" else location
    return [str(part) for part in inner if isinstance(part, str) and part in field_names()] + (
        [str(inner[-1])] if len(inner) > 1 and isinstance(inner[-1], int) else []
    )


def _message(error: Mapping[str, Any]) -> str:
    return _MESSAGES.get(str(error["type"]), str(error["msg"]))


@cache
def field_names() -> frozenset[str]:
    """The names of all fields of all contracts, and of forms."""
    names = set(_FORM_FIELDS)
    pending: list[type[Contract]] = [Contract]
    while pending:
        kind = pending.pop()
        names |= set(kind.model_fields)
        pending += kind.__subclasses__()
    return frozenset(names)
