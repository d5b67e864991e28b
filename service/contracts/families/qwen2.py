"""Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases of queries, keys and values.

With `use_sliding_window`, the blocks from `max_window_layers` on see the last `sliding_window` tokens.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(model_type="qwen2", title="Qwen 2 and 2.5", vllm=True)
