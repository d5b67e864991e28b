"""Requests that are generated from the OpenAPI document never cause a 5xx, and every answer is what the document says.

A few of each operation here; `make soak` has 200 of each, and walks from answers to further requests.
"""

# One database: what reaches one is tried on both by the other tests; `make soak` has more of it, not more databases.

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import create_app
from service.settings import Settings
from tests.databases.migrated import sqlite_settings
from tests.databases.soak import SOAK

OPERATIONS = json.loads((Path(__file__).parent / "openapi.json").read_text())["paths"]
_CONFORMS = [status_code_conformance, content_type_conformance, response_schema_conformance]
_WITHOUT_A_WORKER = ("/query", "/figure1.")  # 503, as the document says
_PROFILE = settings(
    max_examples=200 if SOAK else 1,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def served(made: Settings) -> Iterator[FastAPI]:
    app = create_app(made)
    yield app
    app.state.services.close()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """An application, as its document describes it."""
    limits = {"calibration_wait_s": 0, "query_timeout_s": 1, "allowed_hosts": "*"}
    for app in served(sqlite_settings(tmp_path_factory.mktemp("generated") / "data", **limits)):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def check(case: schemathesis.Case) -> None:
    """The request is sent, and its answer judged."""
    judge(case, case.call(timeout=300))


def judge(case: schemathesis.Case, response: schemathesis.Response) -> None:
    """The answer is as documented, and none that says the server is at fault."""
    case.validate_response(response, checks=_CONFORMS)
    without_worker = response.status_code == 503 and any(part in case.path for part in _WITHOUT_A_WORKER)
    if not without_worker:
        case.validate_response(response, checks=[not_a_server_error])


def test_generated_requests_are_answered_as_documented(document: schemathesis.BaseSchema):
    found = list(document.get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) == len(found)
    assert len(operations) >= len(OPERATIONS)
    for operation in operations:
        _PROFILE(given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))(check))()
        with suppress(Unsatisfiable):  # an operation without input has none that is wrong
            _PROFILE(given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))(check))()


@pytest.mark.long
def test_walks_from_answers_to_further_requests(document: schemathesis.BaseSchema):
    """Ids and cursors of answers are used in the next requests."""
    machine = document.as_state_machine()

    class Walk(machine):
        def validate_response(self, response: schemathesis.Response, case: schemathesis.Case, *_: Any, **__: Any):
            judge(case, response)  # a service without keys answers requests without one, which other checks refuse

    Walk.run(settings=settings(_PROFILE, max_examples=200, stateful_step_count=10))
