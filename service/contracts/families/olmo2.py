"""OLMo 2 (OLMo Team 2025): norms after attention and MLP, none before; norms of all queries and all keys."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="olmo2",
    title="OLMo 2",
    attention="post_attention_layernorm",
    mlp="post_feedforward_layernorm",
    mid="mlp",
    norms="after",
)
