"""Models of the GPT-2 family are loaded from a folder or a hub, as safetensors, with their tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers.models.bloom.configuration_bloom import BloomConfig
from transformers.models.bloom.modeling_bloom import BloomForCausalLM
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel

from service.errors import InvalidInput, UnsupportedModel
from workers.models.loading import load_model, load_tokenizer

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path, tiny_model: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "tiny")
    return tmp_path


def test_a_folder_is_loaded_with_its_sizes_and_identity(root: Path):
    loaded = load_model("tiny", None, root, CPU, "float32")
    assert (loaded.model.sizes.n_layers, loaded.model.sizes.d_model, loaded.model.sizes.n_ctx) == (3, 32, 64)
    assert set(loaded.identity["weights_sha256"]) == {"model.safetensors"}
    assert load_model("tiny", None, root, CPU, "float32") is loaded


def test_a_replaced_folder_is_detected(root: Path, tiny_model: Path):
    before = load_model("tiny", None, root, CPU, "float32")
    other = GPT2LMHeadModel.from_pretrained(tiny_model)
    with torch.no_grad():
        other.transformer.wte.weight.add_(1)
    other.save_pretrained(root / "tiny")
    after = load_model("tiny", None, root, CPU, "float32")
    assert before.identity["weights_sha256"] != after.identity["weights_sha256"]


def test_a_model_saved_without_its_head_is_the_same_model(root: Path):
    GPT2LMHeadModel.from_pretrained(root / "tiny").transformer.save_pretrained(root / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(root / "tiny" / name, root / "bare")
    whole = load_model("tiny", None, root, CPU, "float32").model.model.state_dict()
    bare = load_model("bare", None, root, CPU, "float32").model.model.state_dict()
    assert all((whole[name] == bare[name]).all() for name in whole)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_lower_precision_can_be_chosen(root: Path, dtype: str):
    assert load_model("tiny", None, root, CPU, dtype).model.model.dtype == getattr(torch, dtype)


def test_another_family_is_refused_by_name(root: Path):
    BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)).save_pretrained(root / "bloom")
    with pytest.raises(UnsupportedModel, match="a 'bloom'; supported are gpt2, gpt_neox, opt, llama, mistral"):
        load_model("bloom", None, root, CPU, "float32")


def test_pickled_weights_are_refused(root: Path):
    weights = GPT2LMHeadModel.from_pretrained(root / "tiny").state_dict()
    torch.save(weights, root / "tiny" / "pytorch_model.bin")
    (root / "tiny" / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match="safetensors"):
        load_model("tiny", None, root, CPU, "float32")


def test_code_beside_a_model_never_runs(root: Path):
    """trust_remote_code is off: a configuration that points to its own class is not followed."""
    config = json.loads((root / "tiny" / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    (root / "tiny" / "config.json").write_text(json.dumps(config))
    (root / "tiny" / "evil.py").write_text(f"open({str(root / 'ran')!r}, 'w')\nclass EvilConfig: pass\n")
    with pytest.raises(InvalidInput):
        load_model("tiny", None, root, CPU, "float32")
    assert not (root / "ran").exists()


@pytest.mark.parametrize("name", ["../tiny", "/etc", "a/../../tiny"])
def test_a_model_outside_the_root_is_refused(root: Path, name: str):
    with pytest.raises(InvalidInput, match="under the models root"):
        load_model(name, None, root, CPU, "float32")


def test_an_unknown_name_is_refused_after_the_hub_was_tried(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidInput, match="the hub cannot be reached"):
        load_model("openai-community/no-such-gpt2", None, root, CPU, "float32")


def test_a_model_without_tokenizer_is_refused(root: Path):
    for path in (root / "tiny").glob("*"):
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(InvalidInput, match="tokenizer"):
        load_tokenizer("tiny", None, root)


def test_the_tokenizer_gives_ids_and_offsets_of_every_character(root: Path):
    text = "naïve — 日本 text"
    encoding = load_tokenizer("tiny", None, root).encode(text, add_special_tokens=False)
    assert encoding.offsets[-1][1] == len(text)
    assert len(encoding.ids) == len(encoding.offsets)
