"""OPT (Zhang et al. 2022), with learned positions.

OPT-350m, which normalises after attention and MLP and has a narrower embedding, is refused.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="opt",
    title="OPT, but not OPT-350m",
    blocks="decoder.layers",
    mlp="fc2",
    mid="final_layer_norm",
    final_norm="decoder.final_layer_norm",
    embedding="decoder.embed_tokens",
    norm="LayerNorm",
    lens_mlp="mlp.out",
    keys={
        "n_layers": ("num_hidden_layers",),
        "n_ctx": ("max_position_embeddings",),
        "d_model": ("hidden_size",),
        "n_heads": ("num_attention_heads",),
        "d_vocab": ("vocab_size",),
        "d_mlp": ("ffn_dim",),
    },
    epsilon=None,
    activation="activation_function",
    gated=False,
    tied=True,
    required={"do_layer_norm_before": True, "_remove_final_layer_norm": False},
    same={"word_embed_proj_dim": "hidden_size"},
)
