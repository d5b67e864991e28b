"""Every site of every family equals Hugging Face's own forward pass, for any batch, padding and position.

One configuration of each family here; all of them in the long tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from service.contracts.families import FAMILIES, IN_FOLDERS
from service.contracts.model_config import read_config
from service.contracts.sites import FINAL_NORM, Site
from service.errors import InvalidInput, UnsupportedModel
from tests.models.broken import change_config, drop, shard
from tests.models.families import CONFIGURATIONS, CONTEXT, LAYERS, WIDTH, make_model, read_with_hooks
from workers.activations.extraction import extract
from workers.activations.parity import plain_deviations
from workers.models.decoder import Decoder
from workers.models.loading import LoadedModel, check_model, load_model

CPU = torch.device("cpu")
LENGTH, TOLERANCE = 24, 1e-5
CASES = [
    pytest.param((family, at), id=f"{family}-{at}", marks=[pytest.mark.long] if at else [])
    for family in IN_FOLDERS
    for at in range(len(CONFIGURATIONS[family]))
]


class Case:
    """A model in a folder: as Hugging Face has it, and as it is loaded here."""

    def __init__(self, family: str, at: int, root: Path) -> None:
        self.family, self.root = family, root
        self.theirs = make_model(family, at, root / "tiny")
        self.loaded: LoadedModel[Any] = load_model("tiny", None, root, CPU, "float32")
        self.config = read_config((root / "tiny" / "config.json").read_bytes())
        self.sites = self.config.site_names.sites()
        self.tokens = torch.randint(0, 512, (3, LENGTH), generator=torch.Generator().manual_seed(0))
        self.expected = read_with_hooks(family, self.theirs, self.tokens)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    family, at = request.param
    return Case(family, at, tmp_path_factory.mktemp(f"{family}-{at}"))


def deviation(found: Any, expected: Any) -> float:
    a, b = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    assert a.shape == b.shape
    return max(np.linalg.norm(a - b) / np.linalg.norm(b), np.abs(a - b).max() / np.abs(b).max())


def test_all_sites_at_all_positions(case: Case):
    assert set(case.expected) == set(case.sites)
    found = case.loaded.model.read(case.tokens, case.sites)
    gaps = {site: deviation(found[site], case.expected[site]) for site in case.sites}
    print(case.family, {hook: f"{max(gaps[s] for s in gaps if s.hook == hook):.1e}" for hook in {s.hook for s in gaps}})
    assert max(gaps.values()) <= TOLERANCE, gaps


def test_every_site_alone(case: Case):
    for site in case.sites:
        found = case.loaded.model.read(case.tokens, [site])
        assert set(found) == {site}
        assert deviation(found[site], case.expected[site]) <= TOLERANCE


def test_chunks_of_different_lengths_in_one_batch_equal_single_forwards(case: Case):
    lengths = [LENGTH, 5, 1, 17]
    chunks = [case.tokens[i % 3, :length].numpy() for i, length in enumerate(lengths)]
    found = extract(case.loaded.model, chunks, case.sites, "last", token_budget=4 * LENGTH).vectors
    whole = extract(case.loaded.model, chunks, case.sites, "all", token_budget=4 * LENGTH).vectors
    starts = np.cumsum([0, *lengths])
    for i, chunk in enumerate(chunks):
        alone = read_with_hooks(case.family, case.theirs, torch.from_numpy(chunk)[None])
        for site in case.sites:
            assert deviation(found[site][i], alone[site][0, -1]) <= TOLERANCE
            assert deviation(whole[site][starts[i] : starts[i + 1]], alone[site][0]) <= TOLERANCE


def test_the_loss_is_the_librarys_with_padding_on_the_right(case: Case):
    chunks = [case.tokens[i % 3, :length] for i, length in enumerate([LENGTH, 5, 2, 17])]
    model = load_model("tiny", None, case.root, CPU, "float32", output=True).model
    arrays, site = [chunk.numpy() for chunk in chunks], [Site(0, "resid_pre")]
    found = extract(model, arrays, site, "last", token_budget=4 * LENGTH, loss=True).losses
    with torch.inference_mode():
        expected = [float(case.theirs(chunk[None], labels=chunk[None]).loss) for chunk in chunks]
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_padding_on_the_right_changes_nothing(case: Case):
    padded = torch.cat([case.tokens, torch.full((3, 9), 7)], dim=1)
    found = case.loaded.model.read(padded, case.sites)
    assert all(deviation(found[site][:, :LENGTH], case.expected[site]) <= TOLERANCE for site in case.sites)


def test_the_recorded_deviation_from_the_plain_pass(case: Case):
    chunks = [row.numpy() for row in case.tokens]
    stored = extract(case.loaded.model, chunks, case.sites, "last", token_budget=4 * LENGTH).vectors
    found = plain_deviations(case.loaded.model, chunks, "last", stored)
    assert found is not None
    assert max(one.max_relative_deviation for one in found.values()) <= TOLERANCE


def test_a_forward_pass_ends_after_the_last_site_and_never_computes_logits(case: Case):
    family, ran = FAMILIES[case.family], list[str]()
    modules = dict(case.loaded.model.model.named_modules())
    handles = [
        modules[path].register_forward_hook(lambda m, a, out, path=path: ran.append(path))
        for path in [f"{family.blocks}.{i}" for i in range(LAYERS)] + [family.final_norm]
    ]
    case.loaded.model.read(case.tokens, [Site(1, "resid_pre")])
    blocks = [f"{family.blocks}.0"] if isinstance(case.loaded.model, Decoder) else []  # ours calls a block's parts
    assert ran == blocks
    for handle in handles:
        handle.remove()
    assert not any("lm_head" in path or "embed_out" in path for path in modules)


def test_one_position_of_each_sequence_and_no_other_in_the_last_mlp(case: Case):
    family, at, seen = FAMILIES[case.family], torch.tensor([LENGTH - 1, 4, 0]), dict[str, int]()
    modules = dict(case.loaded.model.model.named_modules())
    paths = [f"{family.blocks}.{i}.{family.mid}" for i in range(LAYERS)] + [family.final_norm]
    handles = [
        modules[path].register_forward_hook(
            lambda m, given, out, path=path: seen.update({path: given[0].numel() // given[0].shape[-1]})
        )
        for path in paths
    ]
    found = case.loaded.model.read(case.tokens, case.sites, at)
    for handle in handles:
        handle.remove()
    whole = case.tokens.numel()
    last = len(at) if isinstance(case.loaded.model, Decoder) else whole  # GPT-2's blocks are walked through here
    assert [seen[path] for path in paths] == [whole] * (LAYERS - 1) + [last, last]
    for site in case.sites:
        assert found[site].shape == (3, 1, WIDTH)
        assert deviation(found[site][:, 0], case.expected[site][torch.arange(3), at]) <= TOLERANCE


def test_sizes_are_those_of_the_library(case: Case):
    config, theirs = case.config, case.theirs.config.get_text_config()
    assert (config.n_layers, config.d_model, config.d_vocab) == (LAYERS, theirs.hidden_size, theirs.vocab_size)
    assert config.n_heads == theirs.num_attention_heads
    assert config.n_kv_heads == getattr(theirs, "num_key_value_heads", config.n_heads)
    assert config.d_head == getattr(theirs, "head_dim", None) or config.d_model // config.n_heads
    assert config.tied == theirs.tie_word_embeddings
    assert config.n_ctx == (48 if case.family == "phi3" and "longrope" in str(config.found) else CONTEXT)


def test_every_alias_is_its_site(case: Case):
    names = case.config.site_names
    for site in case.sites:
        assert names.parse(str(site)) == site
        for name in [name for of_library in names.names(site).values() for name in of_library]:
            same = names.parse(name)  # the stream after a block and before the next one are one tensor
            assert torch.equal(case.expected[same], case.expected[site]), name


def test_names_of_modules_are_those_of_the_library(case: Case):
    modules = dict(case.theirs.named_modules())
    named = [case.config.site_names.names(site)["huggingface"] for site in case.sites]
    paths = [name for names in named for name in names if "hidden_state" not in name]
    assert paths
    assert set(paths) <= set(modules)


def test_bfloat16_weights_stay_as_they_are(case: Case):
    for name, tensor in load_model("tiny", None, case.root, CPU, "bfloat16").model.model.state_dict().items():
        assert tensor.dtype == torch.bfloat16, name
    found = load_model("tiny", None, case.root, CPU, "bfloat16").model.read(case.tokens, [Site(LAYERS, FINAL_NORM)])
    assert deviation(found[Site(LAYERS, FINAL_NORM)].float(), case.expected[Site(LAYERS, FINAL_NORM)]) < 0.2


@pytest.fixture
def broken(case: Case, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for file in (case.root / "tiny").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.long
def test_sharded_weights_are_the_same_model(case: Case, broken: Path):
    shard(broken)
    state = load_model("tiny", None, broken.parent, CPU, "float32").model.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in case.loaded.model.model.state_dict().items())


def test_a_missing_tensor_and_other_sizes_are_refused_by_name(case: Case, broken: Path):
    key = FAMILIES[case.family].keys["n_layers"][0]
    change_config(broken, **{key: 2})
    with pytest.raises(UnsupportedModel, match=f"{key} is 2; the weights have 3 blocks"):
        check_model("tiny", None, broken.parent)
    change_config(broken, **{key: 3})
    drop(broken, f"{FAMILIES[case.family].blocks}.1.{FAMILIES[case.family].mlp}.")
    with pytest.raises(UnsupportedModel, match="the weights lack"):
        check_model("tiny", None, broken.parent)


def test_a_parallel_block_has_no_resid_mid():
    body = {"model_type": "gpt_neox", "num_hidden_layers": 2, "max_position_embeddings": 8, "hidden_size": 8}
    body |= {"num_attention_heads": 2, "vocab_size": 9, "intermediate_size": 8}
    names = read_config(json.dumps(body).encode()).site_names
    with pytest.raises(InvalidInput, match="has no hook_resid_mid"):
        names.parse("blocks.0.hook_resid_mid")
    sequential = read_config(json.dumps(body | {"use_parallel_residual": False}).encode()).site_names
    assert sequential.parse("blocks.-1.ln2.hook_in") == Site(1, "resid_mid")
