"""Models of a hub: one request finds the commit, its files are downloaded once, and the cache serves without a hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from service.errors import InvalidInput
from tests.models.hub_server import COMMIT, Hub, serve_hub
from workers.models.hub import find_commit
from workers.models.loading import load_model, load_tokenizer

NAME = "someone/small"
CPU = torch.device("cpu")


def name_endpoint(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Set what the library reads from HF_ENDPOINT when it is imported."""
    template = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address + template)


@pytest.fixture
def hub(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub(NAME, tiny_model)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve_hub(found) as address:
        name_endpoint(monkeypatch, address)
        yield found


def test_a_hub_model_is_that_of_a_folder(hub: Hub, tmp_path: Path, tiny_model: Path):
    loaded = load_model(NAME, None, tmp_path, CPU, "float32")
    local = load_model(tiny_model.name, None, tiny_model.parent, CPU, "float32")
    assert loaded.identity["revision"] == COMMIT
    assert loaded.identity["content"] == local.identity["content"]
    weights = local.model.model.state_dict()
    assert all(torch.equal(weights[name], one) for name, one in loaded.model.model.state_dict().items())


def test_a_commit_in_the_cache_needs_no_request(hub: Hub, tmp_path: Path):
    load_model(NAME, COMMIT, tmp_path, CPU, "float32")
    asked = len(hub.requests)
    load_model.__globals__["_load_model"].cache_clear()
    load_model(NAME, COMMIT, tmp_path, CPU, "float32")
    assert len(hub.requests) == asked


def test_a_tokenizer_needs_no_weights(hub: Hub, tmp_path: Path):
    assert load_tokenizer(NAME, None, tmp_path).get_vocab_size() == 512
    assert not [path for path in hub.requests if "safetensors" in path]


def test_finding_the_commit_needs_neither_weights_nor_tokenizer(hub: Hub):
    assert find_commit(NAME, None) == COMMIT
    assert not [path for path in hub.requests if "tokenizer" in path or "safetensors" in path]


def test_a_name_that_the_hub_lacks_is_refused_after_one_request(hub: Hub):
    with pytest.raises(InvalidInput, match="the hub has no such model"):
        find_commit("someone/other", None)
    assert len(hub.requests) == 1


def test_a_revision_that_the_model_lacks_is_refused(hub: Hub):
    with pytest.raises(InvalidInput, match="no such revision") as caught:
        find_commit(NAME, "v2")
    assert caught.value.field == "revision"


def test_the_cache_serves_while_the_hub_is_away(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    load_model(NAME, "main", tmp_path, CPU, "float32")
    name_endpoint(monkeypatch, "http://127.0.0.1:9")
    assert find_commit(NAME, "main") == COMMIT
    with pytest.raises(InvalidInput, match="the hub cannot be reached"):
        find_commit("someone/other", "main")
