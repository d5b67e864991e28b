"""The description of the API is committed, so that a change to it is seen and meant."""

# No database: the description of the routes.

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api import openapi

OPERATIONS = openapi.committed_operations()
NAMES = [operation["operationId"] for _, _, operation in OPERATIONS]


def test_the_committed_document_is_the_applications(tmp_path: Path):
    assert openapi.current_document(tmp_path / "data") == openapi.COMMITTED.read_text(encoding="utf-8"), (
        "the API differs from tests/api/openapi.json; if that is meant, `make openapi` renews it"
    )
    assert not (tmp_path / "data").exists(), "describing the API needs no data directory"


def test_operation_ids_are_unique_names_of_functions():
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.isidentifier() and name == name.lower() for name in NAMES)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_says_what_it_does(method: str, path: str, operation: dict[str, Any]):
    assert len(operation["description"]) > 10
    assert operation["tags"]


def test_errors_are_described_as_the_problems_they_are():
    errors = [
        (operation["operationId"], status, list(response["content"]))
        for _, _, operation in OPERATIONS
        for status, response in operation["responses"].items()
        if int(status) >= 400
    ]
    assert [error for error in errors if error[2] != ["application/problem+json"]] == []


def test_files_are_described_as_files():
    responses = {operation["operationId"]: operation["responses"] for _, _, operation in OPERATIONS}
    assert set(responses["get_radius_figure"]["200"]["content"]) == {"image/png", "image/svg+xml", "application/pdf"}
    assert set(responses["get_file"]["200"]["content"]) == {"application/octet-stream"}
    assert "206" in responses["get_file"]
