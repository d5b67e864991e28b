"""A text is embedded by the model and the tokenizer that a set was extracted with, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.artifacts.activation_set import ActivationSet, finish_set, save_tensors, shard_name
from service.artifacts.atomic import sha256_file
from service.errors import Conflict, InvalidInput
from service.settings import Settings
from tests.models.broken import change_weights
from workers.models.loading import load_model
from workers.query.embedding import embed

EXTRACTION = {"model": "tiny", "corpus": "python-docs", "chunk_tokens": 8, "chunks": 4}
TEXT = "The word <extra> is in a text"


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path) -> Settings:
    shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    return Settings(data_dir=tmp_path)


def extracted(settings: Settings, tmp_path: Path) -> ActivationSet:
    """A set that says it was extracted with the model as it is now."""
    identity = load_model("tiny", None, settings.models_root, torch.device("cpu"), "float32").identity
    folder = tmp_path / "set"
    folder.mkdir()
    save_tensors(folder / shard_name(0), {"vectors": np.ones((4, 32), dtype=np.float32)})
    about: dict[str, Any] = {"id": "act-1", "name": "a set", "position": "last", "rows_per_chunk": 1}
    finish_set(folder, about | {"site": "final_norm_out", "extraction": EXTRACTION, "model": identity})
    return ActivationSet(folder, sha256_file(folder / "manifest.json"))


def add_token(settings: Settings) -> None:
    """Add a token that is not in the vocabulary; it gets the first id after the model's 512."""
    file = settings.models_root / "tiny" / "tokenizer.json"
    about = json.loads(file.read_text())
    about["added_tokens"].append(about["added_tokens"][0] | {"id": 512, "content": "<extra>"})
    file.write_text(json.dumps(about))


def test_a_text_is_embedded(settings: Settings, tmp_path: Path):
    vectors, lengths = embed(extracted(settings, tmp_path), [TEXT], settings)
    assert vectors.shape == (1, 32)
    assert lengths[0] > 5


def test_changed_weights_are_refused(settings: Settings, tmp_path: Path):
    stored = extracted(settings, tmp_path)
    change_weights(settings.models_root / "tiny", lambda found: {name: 2 * one for name, one in found.items()})
    with pytest.raises(Conflict, match="weights have changed"):
        embed(stored, [TEXT], settings)


def test_a_changed_tokenizer_is_refused(settings: Settings, tmp_path: Path):
    stored = extracted(settings, tmp_path)
    add_token(settings)
    with pytest.raises(Conflict, match="tokenizer has changed"):
        embed(stored, [TEXT], settings)


def test_a_token_without_embedding_is_refused(settings: Settings, tmp_path: Path):
    add_token(settings)
    with pytest.raises(InvalidInput, match="the id 512") as caught:
        embed(extracted(settings, tmp_path), [TEXT], settings)
    assert caught.value.field == "texts"
