"""Tiny random models of every family; the first configuration of each has most of its quirks, others the rest."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from service.contracts.sites import Site
from tests.tiny import VOCABULARY, make_gpt2

transformers = import_module("transformers")
LAYERS, WIDTH, CONTEXT = 3, 32, 64
_SHARED: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}  # fmt: skip
_GATED = _SHARED | {"intermediate_size": 48, "num_key_value_heads": 2, "pad_token_id": None}
_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
_LONGROPE = {
    "rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0, 1.5, 2.0], "long_factor": [3.0, 4.0, 5.0],
    "partial_rotary_factor": 0.75,
}  # fmt: skip
_WINDOW = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}
_GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": 7}

CONFIGURATIONS: dict[str, list[dict[str, Any]]] = {
    "gpt2": [
        {"scale_attn_by_inverse_layer_idx": True, "n_inner": 48},
        {"tie_word_embeddings": False, "activation_function": "relu", "scale_attn_weights": False},
    ],
    "gpt_neox": [
        {"intermediate_size": 48, "rotary_pct": 0.5},
        {"intermediate_size": 48, "use_parallel_residual": False, "attention_bias": False},
        {"intermediate_size": 48, "rotary_pct": 1.0, "tie_word_embeddings": True},
    ],
    "opt": [
        {"ffn_dim": 48, "word_embed_proj_dim": WIDTH},
        {"ffn_dim": 48, "word_embed_proj_dim": WIDTH, "enable_bias": False, "tie_word_embeddings": False},
        {"ffn_dim": 48, "word_embed_proj_dim": WIDTH, "layer_norm_elementwise_affine": False},
    ],
    "llama": [
        {"rope_parameters": _LLAMA3, "head_dim": 12, "attention_bias": True},
        {"mlp_bias": True, "num_key_value_heads": 4, "tie_word_embeddings": True},
        {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32}},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
    ],
    "mistral": [{"sliding_window": 7, "head_dim": 12}, {"sliding_window": None}],
    "qwen2": [_WINDOW, {"tie_word_embeddings": True}],
    "qwen3": [_WINDOW | {"head_dim": 12, "attention_bias": True}, {"head_dim": 12, "tie_word_embeddings": True}],
    "gemma2": [
        _GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
        _GEMMA | {"attn_logit_softcapping": None, "attention_bias": True},
    ],
    "gemma3_text": [
        _GEMMA | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        _GEMMA | {"sliding_window_pattern": 2, "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    ],
    "olmo2": [{}, {"attention_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 4}],
    "phi3": [
        {"rope_parameters": _LONGROPE, "sliding_window": 9, "original_max_position_embeddings": 48},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
    ],
}
_CLASSES = {
    "gpt2": "GPT2", "gpt_neox": "GPTNeoX", "opt": "OPT", "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2",
    "qwen3": "Qwen3", "gemma2": "Gemma2", "gemma3_text": "Gemma3", "olmo2": "Olmo2", "phi3": "Phi3",
}  # fmt: skip
_GATED_FAMILIES = {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "olmo2", "phi3"}


def make_model(family: str, at: int, folder: Path) -> Any:
    """Save the family's configuration number `at` with a tokenizer; returns Hugging Face's model with its head."""
    make_gpt2(folder)  # its tokenizer stays
    shared = _GATED if family in _GATED_FAMILIES else _SHARED
    name = _CLASSES[family]
    config_class = getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")
    head = f"{name}LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
    torch.manual_seed(at)
    model = getattr(transformers, head)(config_class(**(shared | CONFIGURATIONS[family][at])))
    with torch.no_grad():  # the usual initialisation leaves norms and biases trivial; these tell sites apart
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model.eval()


# Where a person would set hooks, by what the library's code does: attention's and the MLP's last module.
_HOOKED: dict[str, tuple[str, str, str]] = {  # blocks, module that gives attn_out, module that gives mlp_out
    "gpt2": ("transformer.h", "attn", "mlp"),
    "gpt_neox": ("gpt_neox.layers", "attention", "mlp"),
    "opt": ("model.decoder.layers", "self_attn", "fc2"),
    "gemma2": ("model.layers", "post_attention_layernorm", "post_feedforward_layernorm"),
    "gemma3_text": ("model.layers", "post_attention_layernorm", "post_feedforward_layernorm"),
    "olmo2": ("model.layers", "post_attention_layernorm", "post_feedforward_layernorm"),
}
_USUAL = ("model.layers", "self_attn", "mlp")


@torch.inference_mode()
def read_with_hooks(family: str, model: Any, tokens: torch.Tensor) -> dict[Site, torch.Tensor]:
    """All sites by the library's forward pass of the whole model: its hidden states, and hooks.

    `resid_mid` is the sum that the library adds up: the input of the block and the attention's output.
    """
    blocks, attention, mlp = _HOOKED.get(family, _USUAL)
    found: dict[Site, torch.Tensor] = {}

    def keep(site: Site) -> Callable[..., None]:
        def hook(module: Any, given: Any, out: Any) -> None:
            found[site] = (out[0] if isinstance(out, tuple) else out).view(*tokens.shape, -1)

        return hook

    handles: list[Any] = []
    for i, block in enumerate(model.get_submodule(blocks)):
        handles += [
            block.register_forward_hook(keep(Site(i, "resid_post"))),
            block.get_submodule(attention).register_forward_hook(keep(Site(i, "attn_out"))),
            block.get_submodule(mlp).register_forward_hook(keep(Site(i, "mlp_out"))),
        ]
    states = model(tokens, output_hidden_states=True, use_cache=False).hidden_states
    for handle in handles:
        handle.remove()
    for i in range(LAYERS):
        found[Site(i, "resid_pre")] = states[i]
        if not getattr(model.config, "use_parallel_residual", False):
            found[Site(i, "resid_mid")] = states[i] + found[Site(i, "attn_out")]
    return found | {Site(LAYERS, "final_norm_out"): states[-1]}
