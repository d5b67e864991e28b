"""The facts of a family of decoders that readers of a `config.json` need; modules have Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_KEYS = {
    "n_layers": ("num_hidden_layers",),
    "n_ctx": ("max_position_embeddings",),
    "d_model": ("hidden_size",),
    "n_heads": ("num_attention_heads",),
    "d_vocab": ("vocab_size",),
    "d_mlp": ("intermediate_size",),
    "n_kv_heads": ("num_key_value_heads",),
    "d_head": ("head_dim",),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """One family. The defaults are Llama's, which most families follow.

    Attributes:
        model_type: the name in `config.json`; the module of a family has it too.
        title: the models by which it is known.
        kept: only training runs here make such models; no library and no `config.json` names them.
        root: the module of the language model that holds all below; tensors may be stored with or without its name.
        blocks: the list of blocks.
        attention: module of a block whose output is `attn_out`, what is added to the residual stream.
        mlp: likewise for `mlp_out`.
        mid: module of a block whose input is `resid_mid`.
        final_norm: module whose output is `final_norm_out`.
        embedding: module with the embedding.
        norm: kind of all norms.
        norms: where a block has them: before attention and MLP, after them, both, or of the sums, so that the residual
            stream is their output.
        lens_mlp: the MLP's name in TransformerLens 3 and later.
        vllm: whether vLLM gives out the residual stream of this family.
        keys: our name of a size: its keys in `config.json`, the library's own first.
        defaults: sizes that a `config.json` may leave out; `d_head` and `n_kv_heads` follow from others.
        epsilon: key of the norms' epsilon; None where it is fixed.
        activation: key of the MLP's activation.
        gated: whether the MLP has a third matrix, the gate.
        tied: whether the output map is the embedding where `config.json` does not specify it.
        logit_cap: key of the soft cap c of the logits z, which become c · tanh(z / c), and its default; None for never.
        parallel: key that says whether attention and MLP read the same input, and its default; None for never.
        required: the only value supported of a key, where it is given.
        same: pairs of keys that must be equal, where the first is given.
        scores: whether attention holds all scores in memory, as the library has no fused kernel for it.
    """

    model_type: str
    title: str
    kept: bool = False
    root: str = "model"
    blocks: str = "layers"
    attention: str = "self_attn"
    mlp: str = "mlp"
    mid: str = "post_attention_layernorm"
    final_norm: str = "norm"
    embedding: str = "embed_tokens"
    norm: Literal["RMSNorm", "LayerNorm"] = "RMSNorm"
    norms: Literal["before", "after", "both", "of_sums"] = "before"
    lens_mlp: str = "mlp"
    vllm: bool = False
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _KEYS)
    defaults: Mapping[str, int] = field(default_factory=dict)
    epsilon: str | None = "rms_norm_eps"
    activation: str = "hidden_act"
    gated: bool = True
    tied: bool = False
    logit_cap: tuple[str, float | None] | None = None
    parallel: tuple[str, bool] | None = None
    required: Mapping[str, Any] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    scores: bool = False
