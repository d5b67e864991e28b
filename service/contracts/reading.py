"""Validation of untrusted values: errors name fields of contracts and repeat nothing of the input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from service.contracts.base import Contract
from service.errors import FieldErrors, InvalidInput

Model = TypeVar("Model", bound=Contract)
INVALID = "the request is not valid"
_FORM_FIELDS = frozenset({"file", "name"})
_MOST_ERRORS = 20  # that are described
_EXAMINED = 100  # errors that are read for them: to look for the right name of one takes about a millisecond
_LONGEST_NAME = 64  # of an unknown field, in an error
_LIKE_A_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_ALIKE = 0.7  # of two names, by difflib: `chunk_token` is like `chunk_tokens`
_UNKNOWN = "is not a field of this version"
_MESSAGES = {
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "extra_forbidden": "has a field that is not known; /docs and `radius submit KIND --help-spec` list them",
}


def read_contract(kind: type[Model], values: Any, *, prefix: str = "", name_unknown: bool = False) -> Model:
    """`values` as a `kind`; `prefix` is put before the names of its fields in errors.

    Args:
        name_unknown: name unknown fields in errors, as those of another version of this service.

    Raises:
        InvalidInput: naming each wrong field.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        errors = describe_errors(error.errors(), prefix=prefix, name_unknown=name_unknown, kind=kind)
        detail = "; ".join(f"{found['field']}: {found['message']}" for found in errors)
        raise InvalidInput(detail, errors=errors) from error


def describe_errors(
    errors: Iterable[Mapping[str, Any]],
    *,
    prefix: str = "",
    name_unknown: bool = False,
    kind: type[Contract] | None = None,
) -> FieldErrors:
    """`[{"field", "message"}]` of pydantic's errors, one per field and message, at most 20, of the first 100.

    Names that are not ours (an unknown field, a label's key) and the tags that pydantic gives to unions are left out.
    An unknown field is named where it is like a right one, which the message then has; with `name_unknown` always.

    Args:
        kind: the contract that was read, whose fields are suggested; None: the fields of all contracts.
    """
    found: FieldErrors = []
    for error in islice(errors, _EXAMINED):
        names, message = _known(error["loc"]), _message(error)
        if error["type"] == "extra_forbidden":
            given = str(error["loc"][-1])[:_LONGEST_NAME]
            right = _nearest_name(given, _fields_at(kind, error["loc"][:-1]))
            if name_unknown:
                names, message = [*_known(error["loc"][:-1]), given], _UNKNOWN
            elif right is not None:
                names, message = [*_known(error["loc"][:-1]), given], f"is not a field; did you mean {right}?"
        entry = {"field": (prefix + ".".join(names)).strip(".") or "body", "message": message}
        if entry not in found:
            found.append(entry)
        if len(found) == _MOST_ERRORS:
            break
    return found


def _known(location: Sequence[int | str]) -> list[str]:
    if location and location[0] in ("query", "path", "header"):
        return [str(location[1])] if len(location) > 1 else []
    inner = location[1:] if location and location[0] == "body" else location
    return [str(part) for part in inner if isinstance(part, str) and part in field_names()] + (
        [str(inner[-1])] if len(inner) > 1 and isinstance(inner[-1], int) else []
    )


def _nearest_name(given: str, names: Iterable[str]) -> str | None:
    """The field that an unknown name is probably meant to be; None where it is like none."""
    if not _LIKE_A_FIELD.fullmatch(given):
        return None
    return next(iter(get_close_matches(given.lower().replace("-", "_"), sorted(names), 1, _ALIKE)), None)


def _fields_at(kind: type[Contract] | None, location: Sequence[int | str]) -> frozenset[str]:
    """The fields of the contracts at a place within `kind`."""
    if kind is None:
        return field_names()
    kinds = {kind}
    for name in location:
        deeper = {part for each in kinds if name in each.model_fields for part in contracts_in(each, str(name))}
        kinds = deeper or kinds  # what pydantic puts in beside names are the tags of unions and places in lists
    return frozenset(name for each in kinds for name in each.model_fields)


def contracts_in(kind: type[Contract], name: str) -> Iterator[type[Contract]]:
    """The contracts that a field may hold, also within lists and unions."""
    pending: list[Any] = [kind.model_fields[name].annotation]
    while pending:
        part = pending.pop()
        if isinstance(part, type) and issubclass(part, Contract):
            yield part
        pending += get_args(part)


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
