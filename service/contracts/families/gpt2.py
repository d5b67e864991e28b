"""GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="gpt2",
    title="GPT-2, DistilGPT-2 and others of the same design",
    root="transformer",
    blocks="h",
    attention="attn",
    mid="ln_2",
    final_norm="ln_f",
    embedding="wte",
    norm="LayerNorm",
    keys={
        "n_layers": ("n_layer", "num_hidden_layers"),
        "n_ctx": ("n_positions", "max_position_embeddings"),
        "d_model": ("n_embd", "hidden_size"),
        "n_heads": ("n_head", "num_attention_heads"),
        "d_vocab": ("vocab_size",),
        "d_mlp": ("n_inner",),
    },
    defaults={"n_layers": 12, "n_ctx": 1_024, "d_model": 768, "n_heads": 12, "d_vocab": 50_257},
    epsilon="layer_norm_epsilon",
    activation="activation_function",
    gated=False,
    tied=True,
    required={"add_cross_attention": False},
)
