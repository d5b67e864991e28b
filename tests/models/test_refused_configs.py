"""A `config.json` that is not read as the library reads it is refused, by the key that is at fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.contracts.families import IN_FOLDERS
from service.contracts.model_config import read_config
from service.errors import UnsupportedModel

SIZES: dict[str, Any] = {
    "num_hidden_layers": 2, "max_position_embeddings": 64, "hidden_size": 32, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 100, "intermediate_size": 48,
}  # fmt: skip
OPT = SIZES | {"ffn_dim": 48}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("mixtral", {}, f"a 'mixtral'; supported are {', '.join(IN_FOLDERS)}$"),
    ("gemma3", {}, "of Gemma 3, models of text alone are"),
    ("openelm", {}, "a 'openelm'; supported are"),
    ("llama", {"hidden_size": None}, "hidden_size must be a whole number from 1 to 65536"),
    ("llama", {"num_key_value_heads": 3}, "num_key_value_heads 3 does not divide num_attention_heads 4"),
    ("llama", {"num_attention_heads": 5, "num_key_value_heads": 5}, "num_attention_heads 5 does not divide hidden"),
    ("llama", {"rms_norm_eps": 0}, "rms_norm_eps must be a positive number"),
    ("llama", {"rope_scaling": {"rope_type": "spiral"}}, "must be one of default, linear, dynamic, llama3, yarn"),
    ("llama", {"rope_scaling": [1]}, "rope_scaling must be an object"),
    ("llama", {"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantised models are not supported"),
    ("phi3", {"rope_scaling": {"type": "longrope"}}, "longrope needs original_max_position_embeddings"),
    ("opt", {"do_layer_norm_before": False}, "only with do_layer_norm_before true"),
    ("opt", {"word_embed_proj_dim": 16}, "only with word_embed_proj_dim equal to hidden_size"),
    ("opt", {"_remove_final_layer_norm": True}, "only with _remove_final_layer_norm false"),
    ("gemma2", {"use_bidirectional_attention": True}, "only with use_bidirectional_attention false"),
    ("gemma2", {"final_logit_softcapping": 0}, "final_logit_softcapping must be a positive number"),
    ("gemma3_text", {"attn_logit_softcapping": 50.0}, "only with attn_logit_softcapping null"),
    ("gpt_neox", {"use_parallel_residual": 1}, "use_parallel_residual must be true or false"),
]


@pytest.mark.parametrize(("family", "values", "message"), REFUSED, ids=[f"{f}-{list(v)}" for f, v, _ in REFUSED])
def test_what_is_not_supported_is_refused_by_name(family: str, values: dict[str, Any], message: str):
    body = (OPT if family == "opt" else SIZES) | {"model_type": family} | values
    with pytest.raises(UnsupportedModel, match=message) as caught:
        read_config(json.dumps(body).encode())
    assert caught.value.field == "model"


@pytest.mark.parametrize("key", SIZES)
def test_a_missing_size_is_refused_unless_another_gives_it(key: str):
    body = SIZES | {"model_type": "llama"}
    del body[key]
    if key == "num_key_value_heads":
        assert read_config(json.dumps(body).encode()).n_kv_heads == 4
        return
    with pytest.raises(UnsupportedModel, match=f"{key} is missing"):
        read_config(json.dumps(body).encode())


def test_the_context_ends_where_angles_of_all_positions_would_change():
    body = SIZES | {"model_type": "phi3", "original_max_position_embeddings": 16}
    assert read_config(json.dumps(body).encode()).n_ctx == 64
    long = body | {"rope_scaling": {"type": "su", "short_factor": [1], "long_factor": [2]}}
    assert read_config(json.dumps(long).encode()).n_ctx == 16
