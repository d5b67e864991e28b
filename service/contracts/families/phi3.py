"""Phi-3 and Phi-4 of text (Abdin et al. 2024): Llama with fused matrices; positions may rotate a part of each head.

With `longrope`, only contexts up to `original_max_position_embeddings` are read: beyond it, all positions of a text
would depend on its length.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="phi3", title="Phi-3, Phi-3.5 mini, Phi-4 and Phi-4 mini", vllm=True)
