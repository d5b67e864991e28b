"""What the service is and has: presets, models, limits, documentation."""

# One database: folders of models are listed.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.contracts.families import IN_FOLDERS
from service.contracts.presets import PRESETS
from service.contracts.specs import read_spec
from service.settings import Settings
from tests.api.support import CANARY, client_of
from tests.databases.migrated import sqlite_settings

GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_positions": 64, "n_embd": 32, "n_head": 4, "vocab_size": 512}
SIZES = {"n_layers": 2, "n_ctx": 64, "d_model": 32, "n_heads": 4, "d_vocab": 512, "d_mlp": 128}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing here asks the database."""
    return sqlite_settings(tmp_path / "data")


def model_folder(settings: Settings, name: str, config: Any, *, weights: bool = True) -> None:
    folder = settings.models_root / name
    folder.mkdir(parents=True)
    content = config if isinstance(config, bytes) else json.dumps(config).encode()
    (folder / "config.json").write_bytes(content)
    if weights:
        (folder / "model.safetensors").touch()


def models(api: TestClient) -> dict[str, dict[str, Any]]:
    response = api.get("/v1/models")
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["next"] is None
    return {model["id"]: model for model in body["data"]}


def test_the_presets_come_whole(stateless: TestClient):
    body = stateless.get("/v1/presets").json()
    assert body["next"] is None
    assert [preset["id"] for preset in body["data"]] == [preset.id for preset in PRESETS]
    for preset in body["data"]:
        assert set(preset) == {"id", "kind", "title", "spec", "stated", "assumed"}
        assert preset["title"]
        assert preset["stated"]
        assert preset["assumed"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_a_preset_is_a_valid_spec_by_itself(preset: Any):
    by_name = read_spec(preset.kind, {"preset": preset.id})
    by_value = read_spec(preset.kind, dict(preset.spec))
    assert by_name.model_copy(update={"preset": None}) == by_value


def test_the_papers_preset_has_the_papers_numbers(stateless: TestClient):
    [paper] = [preset for preset in stateless.get("/v1/presets").json()["data"] if preset["id"] == "paper/f1"]
    spec = paper["spec"]
    assert (spec["model"], spec["chunks"], spec["chunk_tokens"]) == ("openai-community/gpt2-medium", 80_000, 256)
    assert spec["radius"]["fractions"] == [0.25, 0.5, 0.75, 1.0]


def test_there_may_be_no_models(api: TestClient):
    assert models(api) == {}


def test_model_folders_are_listed_with_their_sizes(api: TestClient, settings: Settings):
    model_folder(settings, "mine", GPT2)
    model_folder(settings, "owner/theirs", GPT2)
    assert models(api) == {
        name: {"id": name, "family": "gpt2", "supported": True, "reason": None, "sizes": SIZES}
        for name in ("mine", "owner/theirs")
    }


def test_models_that_cannot_be_used_say_so(api: TestClient, settings: Settings):
    model_folder(settings, "bloom", {"model_type": "bloom", "n_layer": 2})
    model_folder(settings, "pickled", GPT2, weights=False)
    found = models(api)
    assert (found["bloom"]["supported"], found["bloom"]["family"]) == (False, "bloom")
    assert found["bloom"]["reason"] == f"the model is a 'bloom'; supported are {', '.join(IN_FOLDERS)}"
    assert (found["pickled"]["supported"], found["pickled"]["sizes"]) == (False, SIZES)


def test_models_of_a_hub_cache_are_listed_by_their_ids(api: TestClient, settings: Settings):
    model_folder(settings, "models--someone--small/snapshots/abc", GPT2)
    (settings.models_root / "models--someone--small" / "refs").mkdir()
    (settings.models_root / "models--someone--small" / "refs" / "main").write_text("abc\n")
    (settings.models_root / "models--someone--unfinished").mkdir()
    assert list(models(api)) == ["someone/small"]


BROKEN = {
    "not JSON": b"{",
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "array": [],
    "null": None,
    "deep": b"[" * 100_000,
    "wrong types": {"model_type": ["gpt2"], "n_layer": "2", "n_embd": 1.5, "n_head": None},
    "a huge number": b'{"model_type": "gpt2", "n_layer": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("config", BROKEN.values(), ids=BROKEN)
def test_a_broken_model_folder_does_not_hide_the_others(api: TestClient, settings: Settings, config: Any):
    model_folder(settings, "broken", config)
    model_folder(settings, "sound", GPT2)
    found = models(api)
    assert found["sound"]["sizes"] == SIZES
    assert found["broken"]["sizes"] == {}


def test_a_config_that_is_a_folder_is_no_model(api: TestClient, settings: Settings):
    (settings.models_root / "odd" / "config.json").mkdir(parents=True)
    assert models(api).get("odd", {"supported": False})["supported"] is False


def test_models_of_another_root_are_listed_where_it_is_set(tmp_path: Path):
    settings = sqlite_settings(tmp_path / "data", models_dir=tmp_path / "models")
    model_folder(settings, "mine", GPT2)
    with client_of(settings) as client:
        assert list(models(client)) == ["mine"]
        assert str(tmp_path) not in client.get("/v1/models").text


def test_the_documentation_is_served(stateless: TestClient):
    assert "swagger" in stateless.get("/docs").text
    document = stateless.get("/openapi.json").json()
    assert document["info"]["title"] == "Radius"
    assert "/v1/jobs" in document["paths"]


def test_answers_to_readers_are_json(stateless: TestClient):
    for path in ("/v1/presets", "/v1/models", "/v1/limits", "/healthz", "/readyz", "/v1/theory/radius?n=768&d=80000"):
        response = stateless.get(path)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


def test_unknown_parameters_are_not_repeated(stateless: TestClient):
    assert CANARY not in stateless.get(f"/v1/limits?{CANARY}={CANARY}").text
