"""`GET /v1/sites`: the sites of a model folder, read from its `config.json` alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.api.support import fields_of, problem_of, submit

LLAMA = {
    "model_type": "llama", "num_hidden_layers": 2, "max_position_embeddings": 64, "hidden_size": 32,
    "num_attention_heads": 4, "vocab_size": 100, "intermediate_size": 48,
}  # fmt: skip
NEOX = LLAMA | {"model_type": "gpt_neox"}


@pytest.fixture
def folders(settings: Settings) -> Settings:
    for name, config in {"llama": LLAMA, "neox": NEOX, "bloom": {"model_type": "bloom"}}.items():
        folder = settings.models_root / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config))
    return settings


def sites(api: TestClient, model: str) -> dict[str, Any]:
    response = api.get("/v1/sites", params={"model": model})
    assert response.status_code == 200, response.text
    return response.json()


def test_every_site_comes_with_its_shape_and_its_names(folders: Settings, api: TestClient):
    found = sites(api, "llama")
    assert (found["family"], found["n_layers"], found["d_model"], found["next"]) == ("llama", 2, 32, None)
    assert len(found["data"]) == 2 * 5 + 1
    by_name = {site["site"]: site for site in found["data"]}
    assert by_name["blocks.1.hook_resid_post"] == {
        "site": "blocks.1.hook_resid_post",
        "layer": 1,
        "shape": ["batch", "position", 32],
        "names": {
            "transformer_lens_old": ["blocks.1.hook_resid_post"],
            "transformer_lens_new": ["blocks.1.hook_out"],
            "huggingface": ["model.layers.1"],
            "vllm": ["eagle_aux_hidden_state_layer_ids=2"],
        },
    }
    assert by_name["final_norm_out"]["names"]["huggingface"][-1] == "hidden_states[2]"


def test_a_parallel_block_has_no_resid_mid_and_a_job_that_names_it_is_refused(folders: Settings, api: TestClient):
    names = [site["site"] for site in sites(api, "neox")["data"]]
    assert len(names) == 2 * 4 + 1
    assert not any("resid_mid" in name for name in names)
    spec = {"model": "neox", "corpus": "python-docs", "chunk_tokens": 16, "sites": ["blocks.0.hook_resid_mid"]}
    refused = problem_of(submit(api, spec=spec), 422)
    assert fields_of(refused) == ["spec.sites"]
    assert "has no hook_resid_mid" in refused["detail"]


def test_a_job_takes_the_names_of_libraries_of_its_own_family(folders: Settings, api: TestClient):
    spec = {"model": "neox", "corpus": "python-docs", "chunk_tokens": 16, "sites": ["gpt_neox.layers.0.attention"]}
    assert submit(api, spec=spec).status_code == 202
    assert fields_of(problem_of(submit(api, spec=spec | {"sites": ["model.layers.0"]}), 422)) == ["spec.sites"]


def test_a_bos_token_is_refused_where_the_tokenizer_has_none(folders: Settings, api: TestClient):
    spec = {"model": "llama", "corpus": "python-docs", "chunk_tokens": 63, "bos": "model"}
    assert fields_of(problem_of(submit(api, spec=spec), 422)) == ["spec.bos"]
    (folders.models_root / "llama" / "tokenizer_config.json").write_text('{"bos_token": {"content": "<s>"}}')
    assert submit(api, spec=spec).status_code == 202
    assert fields_of(problem_of(submit(api, spec=spec | {"chunk_tokens": 64}), 422)) == ["spec.chunk_tokens"]


def test_models_that_are_not_here_or_not_supported(folders: Settings, api: TestClient):
    problem_of(api.get("/v1/sites", params={"model": "meta-llama/Llama-3.2-1B"}), 409, "model_not_here")
    problem_of(api.get("/v1/sites", params={"model": "bloom"}), 422, "unsupported_model")
    problem_of(api.get("/v1/sites", params={"model": "../llama"}), 422, "invalid_input")
    problem_of(api.get("/v1/sites", params={"model": "run:run-0"}), 404, "not_found")
    problem_of(api.get("/v1/sites"), 422)
