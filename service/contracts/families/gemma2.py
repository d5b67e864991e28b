"""Gemma 2 (Gemma Team 2024).

The embedding is scaled by √d_model, attention scores and logits are soft-capped, every second block has a sliding
window, and attention and MLP have norms before and after.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="gemma2",
    title="Gemma 2",
    attention="post_attention_layernorm",
    mlp="post_feedforward_layernorm",
    mid="pre_feedforward_layernorm",
    norms="both",
    defaults={"n_kv_heads": 4, "d_head": 256},
    activation="hidden_activation",
    tied=True,
    logit_cap=("final_logit_softcapping", 30.0),
    required={"use_bidirectional_attention": False},
    scores=True,
)
