"""Llama 2 and 3 (Touvron et al. 2023), with rotary positions, grouped queries and a gated MLP."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="llama", title="Llama 2 and 3, SmolLM, TinyLlama", vllm=True)
