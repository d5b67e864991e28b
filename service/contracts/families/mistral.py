"""Mistral 7B (Jiang et al. 2023): Llama whose attention sees the last `sliding_window` tokens, where that is set."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="mistral", title="Mistral", vllm=True, defaults={"n_kv_heads": 8})
