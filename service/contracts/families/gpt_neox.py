"""GPT-NeoX (Black et al. 2022); Pythia (Biderman et al. 2023).

Attention and MLP of a block read the same input, each through its own norm, unless `use_parallel_residual` is false.
Positions rotate a part of each head (`rotary_pct`).
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="gpt_neox",
    title="Pythia, GPT-NeoX-20B",
    root="gpt_neox",
    attention="attention",
    final_norm="final_layer_norm",
    embedding="embed_in",
    norm="LayerNorm",
    epsilon="layer_norm_eps",
    gated=False,
    parallel=("use_parallel_residual", True),
)
