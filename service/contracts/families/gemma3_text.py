"""Gemma 3 (Gemma Team 2025), the models of text alone.

Norms as in Gemma 2, and norms of queries and keys over the head. Blocks with and without a window rotate positions at
different rates; attention scores are not soft-capped, and logits by default neither.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="gemma3_text",
    title="Gemma 3 of text alone (270M, 1B)",
    attention="post_attention_layernorm",
    mlp="post_feedforward_layernorm",
    mid="pre_feedforward_layernorm",
    norms="both",
    defaults={"n_kv_heads": 4, "d_head": 256},
    activation="hidden_activation",
    tied=True,
    logit_cap=("final_logit_softcapping", None),
    required={"use_bidirectional_attention": False, "attn_logit_softcapping": None},
)
