"""Each chunk's mean next-token loss, beside Hugging Face's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel, GPT2Model

from service.contracts.sites import parse_site
from tests.models.openelm_configs import TINY
from tests.tiny import make_gpt2
from workers.activations.extraction import extract
from workers.models.loading import check_model, load_model
from workers.models.openelm import OpenELM
from workers.models.prefixed import PrefixedModel

Array = np.ndarray
SITES = [parse_site("blocks.0.hook_resid_post", 3), parse_site("blocks.-1.hook_mlp_out", 3)]
CPU = torch.device("cpu")


def sequences(lengths: list[int]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 512, length) for length in lengths]


def plain_losses(folder: Path, tokens: list[Array]) -> list[float]:
    """By the library's `labels`, one sequence at a time."""
    model = GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [float(model(torch.from_numpy(ids)[None], labels=torch.from_numpy(ids)[None]).loss) for ids in tokens]


@pytest.mark.parametrize("position", ["last", "all", 1])
def test_the_loss_is_the_librarys_with_padding_on_the_right(tiny_model: Path, position: str | int):
    tokens = sequences([9, 30, 17, 17, 2, 40])
    model = load_model(tiny_model.name, None, tiny_model.parent, CPU, "float32").model
    found = extract(model, tokens, SITES, position, 1000, loss=True)
    assert found.losses is not None
    assert found.losses == pytest.approx(plain_losses(tiny_model, tokens), rel=2e-6)
    alone = extract(model, tokens, SITES, position, 1, loss=True)
    assert alone.losses == pytest.approx(found.losses, rel=1e-6)


@pytest.mark.parametrize("position", ["last", "all"])
def test_the_vectors_are_those_without_a_loss_to_the_last_bit(tiny_model: Path, position: str):
    tokens = sequences([12, 12, 12, 7])
    model = load_model(tiny_model.name, None, tiny_model.parent, CPU, "float32").model
    plain, with_loss = (extract(model, tokens, SITES, position, 24, loss=loss) for loss in (False, True))
    assert plain.losses is None
    assert list(with_loss.vectors) == SITES
    for site in SITES:
        assert np.array_equal(plain.vectors[site], with_loss.vectors[site])


def test_an_output_map_that_is_not_tied_is_read(tmp_path: Path):
    folder = make_gpt2(tmp_path / "untied", n_layer=1)
    model = GPT2LMHeadModel.from_pretrained(folder, tie_word_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight.copy_(torch.randn_like(model.lm_head.weight))
    model.save_pretrained(folder)
    assert check_model("untied", None, tmp_path).has_output
    loaded, tokens = load_model("untied", None, tmp_path, CPU, "float32", output=True), sequences([20, 8])
    found = extract(loaded.model, tokens, [parse_site("final_norm_out", 1)], "last", 100, loss=True)
    assert found.losses == pytest.approx(plain_losses(folder, tokens), rel=2e-6)


def test_a_bos_token_is_read_before_but_no_further_token_is_counted(tiny_model: Path):
    tokens = sequences([9, 30, 2])
    loaded = load_model(tiny_model.name, None, tiny_model.parent, CPU, "float32")
    found = extract(PrefixedModel(loaded.model, 3), tokens, SITES, "last", 1000, loss=True).losses
    theirs = GPT2LMHeadModel.from_pretrained(tiny_model).eval()
    for ids, loss in zip(tokens, found if found is not None else [], strict=True):
        read = torch.from_numpy(np.concatenate([[3], ids]))[None]
        labels = read.clone()
        labels[0, :2] = -100  # not counted
        with torch.inference_mode():
            assert loss == pytest.approx(float(theirs(read, labels=labels).loss), rel=2e-6)


def test_a_model_may_have_no_output_map(tmp_path: Path):
    folder = make_gpt2(tmp_path / "headless", n_layer=1)
    model = GPT2Model.from_pretrained(folder)
    model.config.tie_word_embeddings = False
    model.save_pretrained(folder)
    assert not check_model("headless", None, tmp_path).has_output
    assert load_model("headless", None, tmp_path, CPU, "float32", output=True).model.output_map is None


def test_padded_widths_and_other_families():
    torch.manual_seed(0)
    model = OpenELM(replace(TINY, width_multiple=24))
    tokens = [ids % TINY.d_vocab for ids in sequences([6, 9])]
    found = extract(model, tokens, [parse_site("final_norm_out", TINY.n_layers)], "last", 100, loss=True)
    for ids, loss in zip(tokens, found.losses if found.losses is not None else [], strict=True):
        with torch.inference_mode():
            logits = model.eval().logits(torch.from_numpy(ids)[None])[0, :-1]
        expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(ids[1:]))
        assert loss == pytest.approx(float(expected), rel=1e-5)
