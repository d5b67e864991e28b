"""Qwen 3 (Yang et al. 2025): Llama with norms of queries and keys over the head; windows as in Qwen 2."""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="qwen3", title="Qwen 3, dense", vllm=True, defaults={"d_head": 128})
