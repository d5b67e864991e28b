"""The decoder of the Question-Formation experiments, as training runs here make it.

The residual stream is the output of its norms, and there is none after the last block: `final_norm_out` is the last
`hook_resid_post`.
"""

from __future__ import annotations

from service.contracts.families.family import Family

FAMILY = Family(
    model_type="sentence_decoder",
    title="the Question-Formation decoder, trained here",
    kept=True,
    norm="LayerNorm",
    norms="of_sums",
    gated=False,
)
