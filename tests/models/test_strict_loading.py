"""What is loaded is what was named: every tensor, in its shape, from the folder itself; else it is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from service.errors import InvalidInput, UnsupportedModel
from tests.models.broken import change_config, change_weights, drop, keep_head_alone, prefix_names, shard
from workers.models.loading import check_model, load_model, load_tokenizer, read_content

CPU = torch.device("cpu")


@pytest.fixture
def root(tmp_path: Path, tiny_model: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "tiny")
    return tmp_path


def state(root: Path) -> dict[str, torch.Tensor]:
    return load_model("tiny", None, root, CPU, "float32").model.model.state_dict()


def transpose(folder: Path) -> None:
    change_weights(folder, lambda found: {name: one.t().contiguous() for name, one in found.items()})


def quantise(folder: Path) -> None:
    change_weights(folder, lambda found: {name: one.to(torch.int8) for name, one in found.items()})


def cut(folder: Path) -> None:
    body = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(body[: len(body) // 2])


def point(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def name_twice(folder: Path) -> None:
    change_weights(folder, lambda found: found | {"module.wpe.weight": torch.zeros(64, 32)})


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: drop(folder, "wpe"), "lack 'wpe.weight'"),
    (lambda folder: drop(folder, "h.2."), "n_layer is 3; the weights have 2 blocks"),
    (lambda folder: drop(folder, "ln_f"), "lack 'ln_f.weight', 'ln_f.bias'"),
    (lambda folder: drop(folder, "wte", "lm_head"), "lack 'wte.weight'"),
    (lambda folder: prefix_names(folder, "net."), "the weights have 0 blocks"),
    (lambda folder: change_config(folder, n_layer=5), "n_layer is 5; the weights have 3 blocks"),
    (lambda folder: change_config(folder, n_layer=2), "n_layer is 2; the weights have 3 blocks"),
    (
        lambda folder: change_config(folder, n_embd=64),
        r"another shape .* \(\[512, 32\], not \[512, 64\]\): 'wte.weight'",
    ),
    (lambda folder: change_config(folder, n_positions=32), r"\[64, 32\], not \[32, 32\]\): 'wpe.weight'"),
    (lambda folder: change_config(folder, vocab_size=511), r"\[512, 32\], not \[511, 32\]\): 'wte.weight'"),
    (lambda folder: change_config(folder, n_head=5), "n_head 5 does not divide n_embd 32"),
    (lambda folder: change_config(folder, n_layer="3"), "n_layer must be a whole number from 1 to 9999"),
    (lambda folder: change_config(folder, n_layer=None), "n_layer must be a whole number"),
    (lambda folder: change_config(folder, n_layer=-1), "n_layer must be a whole number"),
    (lambda folder: change_config(folder, n_layer=float("inf")), "n_layer must be a whole number"),
    (lambda folder: change_config(folder, num_hidden_layers=5), "n_layer and num_hidden_layers differ"),
    (lambda folder: change_config(folder, activation_function="wave"), "activation_function is not known"),
    (lambda folder: change_config(folder, layer_norm_epsilon="x"), "layer_norm_epsilon must be a positive number"),
    (lambda folder: change_config(folder, quantization_config={"quant_method": "gptq"}), "quantised models"),
    (lambda folder: change_config(folder, model_type=["gpt2"]), "no model_type"),
    (lambda folder: (folder / "config.json").write_text('{"model_type":'), r"not JSON \(line 1, column 15\)"),
    (lambda folder: (folder / "config.json").write_text("[" * 100_000), "not JSON .nested too deeply"),
    (lambda folder: (folder / "config.json").write_text("[]"), "not a JSON object"),
    (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    (transpose, r"another shape .*'wte.weight'"),
    (quantise, "of type I8; quantised weights"),
    (cut, "damaged or cut short"),
    (point, "pointer of Git LFS"),
    (name_twice, "two tensors of the weights are both 'wpe.weight'"),
    (lambda folder: (folder / "tokenizer.json").write_text('{"version":'), "tokenizer.json cannot be read"),
    (lambda folder: (folder / "tokenizer.json").write_text("[" * 100_000), "tokenizer.json cannot be read"),
    (lambda folder: shard(folder, two="../two.safetensors"), "names a file outside the model's folder"),
    (lambda folder: shard(folder, two="/tmp/two.safetensors"), "names a file outside the model's folder"),
    (lambda folder: shard(folder, two="inner/two.safetensors"), "names a file outside the model's folder"),
    (lambda folder: shard(folder, two="three.safetensors"), "names 'three.safetensors', which is not there"),
]


@pytest.mark.parametrize("at", range(len(BROKEN)), ids=[message for _, message in BROKEN])
def test_a_folder_that_is_not_the_model_is_refused_by_name(root: Path, at: int):
    spoil, message = BROKEN[at]
    spoil(root / "tiny")
    with pytest.raises(UnsupportedModel, match=message) as caught:
        load_model("tiny", None, root, CPU, "float32")
    assert caught.value.field == "model"


def test_a_check_alone_finds_what_loading_refuses(root: Path):
    drop(root / "tiny", "wpe")
    with pytest.raises(UnsupportedModel, match=r"lack 'wpe\.weight'"):
        check_model("tiny", None, root)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_known_prefixes_are_stripped_and_said_so(root: Path, prefix: str):
    before = state(root)
    prefix_names(root / "tiny", prefix)
    after = load_model("tiny", None, root, CPU, "float32")
    assert all(torch.equal(before[name], tensor) for name, tensor in after.model.model.state_dict().items())
    assert len(after.identity["notes"]) == prefix.count(".")
    assert check_model("tiny", None, root).notes == after.identity["notes"]


def test_a_tied_head_alone_is_the_embedding(root: Path):
    before = state(root)
    keep_head_alone(root / "tiny")
    after = load_model("tiny", None, root, CPU, "float32")
    assert torch.equal(after.model.model.state_dict()["wte.weight"], before["wte.weight"])
    assert ["lm_head" in note for note in after.identity["notes"]] == [True]


def test_an_untied_head_alone_is_no_embedding(root: Path):
    keep_head_alone(root / "tiny")
    change_config(root / "tiny", tie_word_embeddings=False)
    with pytest.raises(UnsupportedModel, match=r"lack 'wte\.weight'"):
        load_model("tiny", None, root, CPU, "float32")


def test_constants_of_older_files_are_no_tensors(root: Path):
    before = state(root)
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.uint8) for layer in range(3)}
    change_weights(root / "tiny", lambda found: found | masks)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state(root).items())


def test_the_identity_covers_every_file_of_sharded_weights(root: Path):
    before = state(root)
    shard(root / "tiny")
    loaded = load_model("tiny", None, root, CPU, "float32")
    assert all(torch.equal(before[name], tensor) for name, tensor in loaded.model.model.state_dict().items())
    assert set(loaded.identity["weights_sha256"]) == {"one.safetensors", "two.safetensors"}
    assert loaded.identity["content"] == read_content("tiny", None, root)
    two = root / "tiny" / "two.safetensors"
    save_file({name: 2 * tensor for name, tensor in before_of(two).items()}, two)
    assert read_content("tiny", None, root) != loaded.identity["content"]


def before_of(file: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name: tensor.clone() for name, tensor in load_file(file).items()}


def test_a_replaced_tokenizer_is_another_model(root: Path):
    before = load_model("tiny", None, root, CPU, "float32")
    file = root / "tiny" / "tokenizer.json"
    about = json.loads(file.read_text())
    about["pre_tokenizer"]["add_prefix_space"] = True
    file.write_text(json.dumps(about))
    after = load_model("tiny", None, root, CPU, "float32")
    assert before.identity["weights_sha256"] == after.identity["weights_sha256"]
    assert before.identity["tokenizer_sha256"] != after.identity["tokenizer_sha256"]
    assert before.identity["content"] != after.identity["content"]


def test_the_tokenizer_is_that_of_its_file(root: Path):
    """The library's class for GPT-2 makes a tokenizer of the vocabulary alone and leaves the normalizer out."""
    file = root / "tiny" / "tokenizer.json"
    about = json.loads(file.read_text())
    about["normalizer"] = {"type": "Lowercase"}
    file.write_text(json.dumps(about))
    found = load_tokenizer("tiny", None, root)
    assert found.encode("The Name").ids == found.encode("the name").ids
    assert found.encode("The Name").ids == Tokenizer.from_file(str(file)).encode("The Name").ids


def test_the_older_files_of_a_tokenizer_give_the_same_tokens(root: Path):
    text = "An example — of text."
    whole = load_tokenizer("tiny", None, root).encode(text, add_special_tokens=False).ids
    (root / "tiny" / "tokenizer.json").unlink()
    assert load_tokenizer("tiny", None, root).encode(text, add_special_tokens=False).ids == whole


def add_token(folder: Path, token_id: int, *, ordinary: bool) -> None:
    about = json.loads((folder / "tokenizer.json").read_text())
    if ordinary:
        about["model"]["vocab"]["zzz"] = token_id
    else:
        about["added_tokens"].append(about["added_tokens"][0] | {"id": token_id, "content": "<extra>"})
        about["model"]["vocab"]["<extra>"] = token_id
    (folder / "tokenizer.json").write_text(json.dumps(about))


def test_an_ordinary_token_without_embedding_is_refused(root: Path):
    """512 entries are no more than the model's 512 embeddings, but one of them has a larger id."""
    about = json.loads((root / "tiny" / "tokenizer.json").read_text())
    about["model"]["vocab"].popitem()
    about["model"]["merges"] = []
    (root / "tiny" / "tokenizer.json").write_text(json.dumps(about))
    add_token(root / "tiny", 65_538, ordinary=True)
    with pytest.raises(InvalidInput, match=r"the id 65538 \('zzz'\); the model has 512 embeddings"):
        load_model("tiny", None, root, CPU, "float32")


def test_an_added_token_without_embedding_is_no_error_while_no_text_has_it(root: Path):
    add_token(root / "tiny", 600, ordinary=False)
    loaded = load_model("tiny", None, root, CPU, "float32")
    assert max(loaded.tokenizer.encode("a text").ids) < 512 <= max(loaded.tokenizer.encode("a <extra>").ids)


def test_a_folder_has_no_revision(root: Path):
    with pytest.raises(InvalidInput, match="only a model of the hub has a revision") as caught:
        load_model("tiny", "main", root, CPU, "float32")
    assert caught.value.field == "revision"


@pytest.mark.parametrize("name", ["n" * 300, "a/" * 200 + "b"])
def test_a_name_longer_than_a_file_name_is_refused(root: Path, name: str):
    with pytest.raises(InvalidInput, match="no such folder under the models root"):
        load_model(name, None, root, CPU, "float32")


def test_a_folder_of_a_hub_cache_is_a_model(root: Path):
    cache = root / "models--someone--small"
    shutil.copytree(root / "tiny", cache / "snapshots" / "abc123")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc123")
    plain, cached = (load_model(name, None, root, CPU, "float32") for name in ("tiny", "someone/small"))
    assert cached.identity["revision"] == "abc123"
    assert cached.identity["content"] == plain.identity["content"]
    with pytest.raises(InvalidInput, match="no such revision"):
        load_model("someone/small", "other", root, CPU, "float32")


def test_weights_of_lower_precision_are_widened_exactly(root: Path):
    before = {name: tensor.bfloat16().float() for name, tensor in state(root).items()}
    change_weights(root / "tiny", lambda found: {name: one.bfloat16() for name, one in found.items()})
    after = state(root)
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert np.isfinite(after["wte.weight"].numpy()).all()
