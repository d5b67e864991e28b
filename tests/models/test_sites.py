"""Every site equals that of plain Hugging Face, compared in float64, to 1e-5 relative."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel, GPT2Model

from service.contracts.sites import Site, parse_site
from service.errors import InvalidInput
from workers.models.gpt2 import GPT2
from workers.models.prefixed import PrefixedModel

LAYERS = 3
BLOCK_HOOKS = ("resid_pre", "attn_out", "mlp_out", "resid_mid", "resid_post")
ALL_SITES = [f"blocks.{i}.hook_{hook}" for i in range(LAYERS) for hook in BLOCK_HOOKS] + ["final_norm_out"]


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> Any:
    return GPT2LMHeadModel.from_pretrained(tiny_model).eval()


@pytest.fixture(scope="module")
def hooked(tiny_model: Path) -> GPT2:
    return GPT2(GPT2Model.from_pretrained(tiny_model))


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, 512, (3, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def expected(plain: Any, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """All sites from a plain forward with `output_hidden_states` and forward hooks."""
    found: dict[str, torch.Tensor] = {}
    handles = []
    for i, block in enumerate(plain.transformer.h):
        handles += [
            block.attn.register_forward_hook(
                lambda m, a, out, i=i: found.__setitem__(f"blocks.{i}.hook_attn_out", out[0])
            ),
            block.mlp.register_forward_hook(lambda m, a, out, i=i: found.__setitem__(f"blocks.{i}.hook_mlp_out", out)),
            block.ln_2.register_forward_pre_hook(
                lambda m, a, i=i: found.__setitem__(f"blocks.{i}.hook_resid_mid", a[0])
            ),
            block.register_forward_hook(lambda m, a, out, i=i: found.__setitem__(f"blocks.{i}.hook_resid_post", out)),
        ]
    with torch.inference_mode():
        states = plain(tokens, output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    found |= {f"blocks.{i}.hook_resid_pre": states[i] for i in range(LAYERS)}
    return found | {"final_norm_out": states[-1]}


@pytest.mark.parametrize("site", ALL_SITES)
def test_a_site_alone_equals_plain_hugging_face(hooked: GPT2, tokens, expected, site: str):
    parsed = parse_site(site, LAYERS)
    assert_close(hooked.read(tokens, [parsed])[parsed], expected[site])


def test_all_sites_in_one_pass_equal_plain_hugging_face(hooked: GPT2, tokens, expected):
    sites = [parse_site(site, LAYERS) for site in ALL_SITES]
    found = hooked.read(tokens, sites)
    for site in sites:
        assert_close(found[site], expected[str(site)])


def test_the_last_residual_and_the_final_norm_are_two_different_things(hooked: GPT2, tokens):
    post, norm = parse_site("blocks.-1.hook_resid_post", LAYERS), parse_site("final_norm_out", LAYERS)
    found = hooked.read(tokens, [post, norm])
    assert (found[post] - found[norm]).abs().max() > 0.1
    with torch.inference_mode():
        assert_close(hooked.model.ln_f(found[post]), found[norm])


@pytest.mark.parametrize(
    ("site", "attentions", "mlps"),
    [("blocks.0.hook_resid_pre", 0, 0), ("blocks.1.hook_resid_mid", 2, 1), ("final_norm_out", 3, 3)],
)
def test_the_forward_stops_after_the_last_part_needed(hooked: GPT2, tokens, site: str, attentions: int, mlps: int):
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda m, a, out, name=name: ran.append(name))
        for block in list[Any](hooked.model.h)
        for name, module in (("attention", block.attn), ("mlp", block.mlp))
    ]
    hooked.read(tokens, [parse_site(site, LAYERS)])
    for handle in handles:
        handle.remove()
    assert (ran.count("attention"), ran.count("mlp")) == (attentions, mlps)


@pytest.mark.parametrize(
    "variant", [{"scale_attn_by_inverse_layer_idx": True}, {"n_inner": 48}, {"scale_attn_weights": False}]
)
def test_variants_of_the_family_equal_plain_hugging_face(tokens, variant: dict):
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=512, n_positions=64, n_embd=32, n_layer=LAYERS, n_head=4, **variant)
    plain = GPT2LMHeadModel(config).eval()
    site = parse_site("final_norm_out", LAYERS)
    with torch.inference_mode():
        expected = plain(tokens, output_hidden_states=True).hidden_states[-1]
    assert_close(GPT2(plain.transformer).read(tokens, [site])[site], expected)


def test_padding_on_the_right_changes_nothing_before_it(hooked: GPT2, tokens):
    site = parse_site("final_norm_out", LAYERS)
    padded = torch.cat([tokens, torch.zeros(3, 9, dtype=tokens.dtype)], dim=1)
    assert_close(hooked.read(padded, [site])[site][:, :20], hooked.read(tokens, [site])[site])


def test_negative_blocks_count_from_the_end():
    assert parse_site("blocks.-1.hook_resid_mid", 5) == Site(4, "resid_mid")
    assert str(parse_site("blocks.-2.hook_attn_out", 5)) == "blocks.3.hook_attn_out"


@pytest.mark.parametrize(
    "text", ["blocks.3.hook_resid_post", "blocks.-4.hook_resid_post", "blocks.0.hook_q", "h.0", "", "final_norm_out "]
)
def test_sites_outside_the_grammar_or_the_model_are_refused(text: str):
    with pytest.raises(InvalidInput):
        parse_site(text, LAYERS)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    a, b = found.numpy().astype(np.float64), expected.numpy().astype(np.float64)
    assert a.shape == b.shape
    assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)
    assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def test_positions_count_from_the_first_token_of_the_text(hooked: GPT2):
    tokens, at, site = torch.arange(12).reshape(2, 6), torch.tensor([5, 2]), parse_site("final_norm_out", LAYERS)
    prefixed = PrefixedModel(hooked, 7)
    found = prefixed.read(tokens, [site], at)[site]
    assert torch.equal(found, prefixed.read(tokens, [site])[site][torch.arange(2), at][:, None])
    assert not torch.equal(found, hooked.read(tokens, [site], at)[site])
