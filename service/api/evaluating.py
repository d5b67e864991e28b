"""Bodies of evaluations and queries → answers; `python -m service.api.evaluating` does one, for a process of its own.

A large body takes seconds to parse and to validate, in which Python runs nothing else. So a child process does that:
it reads one JSON line with the task, then the body; it writes one JSON line, an error or null, then the answer.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from service.api.json_reading import parse_json
from service.contracts.base import Contract
from service.contracts.energy import EnergyBounds, EvaluatedPoint, EvaluateRequest
from service.contracts.query import QueryRequest
from service.contracts.reading import INVALID, describe_errors
from service.errors import InvalidInput, RadiusError, TooLarge
from service.theory.evaluation import POINT, Array, evaluate_columns

Request = TypeVar("Request", bound=Contract)
_POINTS = TypeAdapter(list[EvaluatedPoint])
_TOGETHER = 1_000  # points that are written at once
_NICENESS = 5  # so that the API answers the requests of others first
_CPU_S = 600  # beyond any time limit of the parent, which may have died


def evaluate_body(body: bytes, limits: dict[str, int]) -> Iterator[bytes]:
    """The JSON of an `Evaluation`, in pieces.

    Raises:
        InvalidInput, TooLarge: the body is not one of an evaluation, or exceeds `limits`.
    """
    patterns, queries, beta = _read_evaluation(body)
    _check_size(patterns, queries, limits)
    columns, bounds = evaluate_columns(patterns, queries, beta)
    yield b'{"beta":%s,"results":[' % json.dumps(beta).encode()
    for start in range(0, len(queries), _TOGETHER):
        part = (columns[name][start : start + _TOGETHER].tolist() for name in POINT)
        points = _POINTS.validate_python([dict(zip(POINT, row, strict=True)) for row in zip(*part, strict=True)])
        yield (b"," if start else b"") + _POINTS.dump_json(points)[1:-1]
    yield b'],"bounds":' + EnergyBounds.model_validate(bounds).model_dump_json().encode() + b"}"


def query_body(body: bytes, limits: dict[str, int]) -> Iterator[bytes]:
    """The JSON of a valid `QueryRequest`; raises `InvalidInput` and `TooLarge`.

    `limits` has `d_model` of the set too.
    """
    request = _valid(QueryRequest, _parse(body))
    rows = request.vectors if request.vectors is not None else request.texts or []
    field = "texts" if request.vectors is None else "vectors"
    if len(rows) > limits["max_queries"]:
        raise TooLarge(f"at most {limits['max_queries']} queries at once (max_queries)", field=field)
    if request.vectors is not None and any(len(row) != limits["d_model"] for row in request.vectors):
        raise InvalidInput(f"every vector must have {limits['d_model']} numbers, the set's d_model", field="vectors")
    longest = max((len(text) for text in request.texts or []), default=0)
    if longest > limits["max_query_characters"]:
        most = limits["max_query_characters"]
        raise TooLarge(f"a text has at most {most} characters (max_query_characters)", field="texts")
    yield request.model_dump_json().encode()


TASKS = {"evaluate": evaluate_body, "query": query_body}


def main() -> None:
    """Answer what comes on standard input."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    gc.disable()  # of millions of lists, none is garbage before the end
    task = json.loads(sys.stdin.buffer.readline())
    out = sys.stdout.buffer
    try:
        answer = TASKS[task["name"]](sys.stdin.buffer.read(), task["limits"])
        first = next(answer)
    except RadiusError as error:
        errors = error.errors if isinstance(error, InvalidInput) else None
        out.write(json.dumps(error.as_dict() | {"errors": errors}).encode() + b"\n")
        return
    out.write(b"null\n" + first)
    out.writelines(answer)


def _read_evaluation(body: bytes) -> tuple[Array, Array, float]:
    """Patterns, queries and β; rows of numbers go to arrays at once, as validating copies them."""
    values = _parse(body)
    if isinstance(values, dict):
        patterns, queries = _array(values.get("patterns")), _array(values.get("queries"))
        if patterns is not None and queries is not None:
            rest = _valid(EvaluateRequest, values | {"patterns": [[0.0]], "queries": [[0.0]]})
            return patterns, queries, rest.beta
    request = _valid(EvaluateRequest, values)  # whose error names the fault
    return _rows("patterns", request.patterns), _rows("queries", request.queries), request.beta


def _array(rows: Any) -> Array | None:
    """Rows of equally many numbers as float64; None for anything else."""
    if type(rows) is not list or not rows or set(map(type, rows)) != {list} or len(set(map(len, rows))) > 1:
        return None
    if not rows[0] or not set(map(type, chain.from_iterable(rows))) <= {int, float}:
        return None
    try:
        numbers = np.fromiter(chain.from_iterable(rows), np.float64, count=len(rows) * len(rows[0]))
    except OverflowError:  # an integer beyond a double
        return None
    return numbers.reshape(len(rows), len(rows[0]))


def _parse(body: bytes) -> Any:
    try:
        return parse_json(body)
    except json.JSONDecodeError as error:
        message = "JSON decode error" if body else "Field required"
        raise InvalidInput(INVALID, errors=[{"field": "body", "message": message}]) from error


def _valid(kind: type[Request], values: Any) -> Request:
    """`values` as a `kind`, with the errors of a route that takes one."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(INVALID, errors=describe_errors(error.errors(include_input=False))) from None


def _rows(field: str, rows: list[list[float]]) -> Array:
    if len({len(row) for row in rows}) > 1:
        raise InvalidInput("all rows must have the same length", field=field)
    return np.asarray(rows, dtype=np.float64)


def _check_size(patterns: Array, queries: Array, limits: dict[str, int]) -> None:
    most = limits["max_evaluate_numbers"]
    if patterns.size + queries.size > most:
        raise TooLarge(f"at most {most} numbers (max_evaluate_numbers)", field="patterns")
    most = limits["max_evaluate_products"]
    if len(queries) * patterns.size > most:
        raise TooLarge(f"queries × patterns × dimension is at most {most} (max_evaluate_products)", field="queries")


if __name__ == "__main__":
    main()
