"""The names that libraries give to sites."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.contracts.extraction import ExtractionSpec
from service.contracts.families import FAMILIES
from service.contracts.site_names import SiteNames, is_known
from service.contracts.sites import Site
from service.errors import InvalidInput

LAST = Site(2, "resid_post")
NORM = Site(3, "final_norm_out")
NAMED = [
    ("llama", "model.layers.-1", LAST),
    ("llama", "blocks.2.hook_out", LAST),
    ("llama", "eagle_aux_hidden_state_layer_ids=3", LAST),
    ("llama", "hidden_states[3]", NORM),
    ("llama", "hidden_states[-1]", NORM),
    ("llama", "last_hidden_state", NORM),
    ("llama", "model.norm", NORM),
    ("llama", "ln_final.hook_out", NORM),
    ("llama", "hidden_states[0]", Site(0, "resid_pre")),
    ("llama", "hidden_states[2]", Site(1, "resid_post")),
    ("llama", "model.layers.1.self_attn", Site(1, "attn_out")),
    ("llama", "blocks.1.ln2.hook_in", Site(1, "resid_mid")),
    ("gpt2", "transformer.h.1.mlp", Site(1, "mlp_out")),
    ("opt", "model.decoder.layers.0.fc2", Site(0, "mlp_out")),
    ("opt", "blocks.0.mlp.out.hook_out", Site(0, "mlp_out")),
    ("gemma2", "model.layers.0.post_attention_layernorm", Site(0, "attn_out")),
    ("gemma2", "blocks.0.ln1_post.hook_out", Site(0, "attn_out")),
    ("olmo2", "blocks.0.mlp.hook_in", Site(0, "resid_mid")),
    ("gpt_neox", "gpt_neox.final_layer_norm", NORM),
]


@pytest.mark.parametrize(("family", "name", "site"), NAMED)
def test_a_name_of_a_library_is_a_site(family: str, name: str, site: Site):
    assert is_known(name)
    assert SiteNames(FAMILIES[family], 3).parse(name) == site


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("gemma2", "model.layers.0.self_attn"),  # a norm follows it, whose output is what is added
        ("gpt2", "model.layers.0"),
        ("gpt2", "eagle_aux_hidden_state_layer_ids=1"),
        ("llama", "model.layers.3"),
        ("llama", "hidden_states[4]"),
        ("llama", "hidden_states[-5]"),
        ("openelm", "hidden_states[1]"),
    ],
)
def test_a_name_that_the_model_lacks_is_refused(family: str, name: str):
    with pytest.raises(InvalidInput) as caught:
        SiteNames(FAMILIES[family], 3).parse(name)
    assert caught.value.field == "sites"


def test_names_become_ours_and_one_site_is_taken_once():
    names = SiteNames(FAMILIES["llama"], 3)
    given = ["model.layers.2", "blocks.-1.hook_resid_post", "hidden_states[3]", "hidden_states[1]"]
    assert names.distinct(given) == ["blocks.2.hook_resid_post", "final_norm_out", "blocks.0.hook_resid_post"]
    assert names.distinct(["blocks.-1.hook_resid_post"]) == ["blocks.-1.hook_resid_post"]
    assert len(names.distinct("all")) == 4


@pytest.mark.parametrize("name", ["model.layers.0.self_attn", "hidden_states[12]", "blocks.-1.hook_mlp_out"])
def test_a_spec_takes_names_of_libraries(name: str):
    assert ExtractionSpec(model="m", corpus="c", sites=[name]).sites == [name]


@pytest.mark.parametrize("name", ["h.0", "", "model.layers.0.q_proj", "hidden_states[x]", "blocks.0.hook_q", "x" * 200])
def test_a_spec_refuses_what_is_no_name_of_any_family(name: str):
    with pytest.raises(ValidationError):
        ExtractionSpec(model="m", corpus="c", sites=[name])
