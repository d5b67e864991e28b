"""A model folder that makes no model is refused when a job names it, before work is queued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.support import EXTRACTION, ONCE, fields_of, problem_of, submit

pytestmark = ONCE

CONFIG = {"model_type": "gpt2", "n_layer": 2, "n_embd": 48, "n_positions": 64, "n_head": 4, "vocab_size": 100}
SPEC = EXTRACTION | {"model": "mine", "chunk_tokens": 32}
BAD_CONFIGS: dict[str, Any] = {
    "text": {"n_layer": "3"},
    "null": {"n_layer": None},
    "infinite": {"n_layer": float("inf")},
    "negative": {"n_layer": -1},
    "too many layers": {"n_layer": 10**6},
    "heads": {"n_head": 5},
    "family": {"model_type": "bloom"},
    "quantised": {"quantization_config": {}},
}
MESSAGES = {
    "text": "n_layer",
    "null": "n_layer",
    "infinite": "n_layer",
    "negative": "n_layer",
    "too many layers": "n_layer",
    "heads": "n_head 5 does not divide n_embd 48",
    "family": "'bloom'",
    "quantised": "quantised",
}


def write_config(settings: Settings, body: str) -> None:
    folder = settings.models_root / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(body)


def refused(client: TestClient, spec: dict[str, Any], code: str = "invalid_input") -> dict[str, Any]:
    """The problem of a submission, which is that of an estimate too."""
    problem = problem_of(submit(client, spec=spec), 422, code)
    estimate = client.post("/v1/jobs/estimate", json={"kind": "extraction", "spec": spec})
    assert problem_of(estimate, 422, code) == problem
    return problem


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_configuration_that_makes_no_model_is_refused(api: TestClient, settings: Settings, case: str):
    write_config(settings, json.dumps(CONFIG | BAD_CONFIGS[case]))
    problem = refused(api, SPEC, "unsupported_model")
    assert fields_of(problem) == ["spec.model"]
    assert MESSAGES[case] in problem["detail"]


@pytest.mark.parametrize("body", ["{", "[" * 100_000, '{"n_layer": 1e999999'])
def test_a_configuration_that_is_not_json_is_refused(api: TestClient, settings: Settings, body: str):
    write_config(settings, body)
    assert "config.json is not JSON" in refused(api, SPEC, "unsupported_model")["detail"]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"chunk_tokens": 65}, "spec.chunk_tokens", "the model's context is 64 tokens"),
        ({"sites": ["blocks.2.hook_resid_post"]}, "spec.sites", "the model has 2 blocks"),
        ({"revision": "main"}, "spec.revision", "only a model of the hub has a revision"),
        ({"model": "../mine"}, "spec.model", "under the models root"),
    ],
)
def test_what_a_folder_does_not_have_is_refused(
    api: TestClient, settings: Settings, change: dict[str, Any], field: str, message: str
):
    write_config(settings, json.dumps(CONFIG))
    problem = refused(api, SPEC | change)
    assert fields_of(problem) == [field]
    assert message in problem["detail"]


def test_a_name_longer_than_a_file_name_is_a_hub_id(api: TestClient):
    assert submit(api, spec=SPEC | {"model": "n" * 300}).status_code == 202


def test_a_sound_folder_is_accepted(api: TestClient, settings: Settings):
    write_config(settings, json.dumps(CONFIG))
    assert submit(api, spec=SPEC).status_code == 202
